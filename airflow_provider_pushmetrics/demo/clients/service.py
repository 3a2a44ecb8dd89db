"""What the demo asks of the PushMetrics service."""

from __future__ import annotations

from airflow_provider_pushmetrics.demo.clients.http import LocalServer
from airflow_provider_pushmetrics.demo.credentials import ReportAccess
from airflow_provider_pushmetrics.exceptions import DemoError

REPORT_ID = "1"
"""The report about the flights."""


class ServiceApi(LocalServer):
    """
    The PushMetrics service's API, as the owner of its first API token.

    :param base_url: Where it is.
    :param api_token: The token.
    """

    def __init__(self, base_url: str, api_token: str) -> None:
        super().__init__("the PushMetrics service", base_url)
        self.use_bearer(api_token)

    def find_readiness(self) -> bool | None:
        """Find out whether it can serve; None while it cannot."""
        return None if self.find("/health/ready") is None else True

    def open_report(self, receiver_url: str) -> ReportAccess:
        """
        Get the trigger's token of the flights report, and have its runs announced to a receiver.

        :param receiver_url: Where to post ``report.run`` events.
        """
        trigger_token = self._fetch_trigger_token()
        answer = self.post(
            "/api/v1/webhook_subscription/",
            {"name": "Airflow", "url": receiver_url, "events": ["report.run"], "active": True},
        )
        return ReportAccess(REPORT_ID, trigger_token, answer["signing_secret"])

    def _fetch_trigger_token(self) -> str:
        for listed in self.fetch("/api/v1/webhook/")["result"]:
            trigger = self.fetch(f"/api/v1/webhook/{listed['id']}")["result"]
            if str(trigger["report_id"]) == REPORT_ID and trigger["active"]:
                return str(trigger["token"])
        raise DemoError(
            f"report {REPORT_ID} has no enabled trigger, and `pushmetrics service --demo` makes one."
        )
