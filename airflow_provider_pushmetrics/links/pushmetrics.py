"""Links from a task in Airflow's interface to PushMetrics. No URL contains a token."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_pushmetrics.compat import LINK_PREFIX, BaseOperatorLink, read_link, store_link
from airflow_provider_pushmetrics.exceptions import PushMetricsUntrustedUrlError
from airflow_provider_pushmetrics.redaction import strip_query
from airflow_provider_pushmetrics.storable import clean_text

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context, TaskInstanceKey

    from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
    from airflow_provider_pushmetrics.hooks.settings import PushMetricsSettings

RECEIVER_PATH = "/pushmetrics"
"""The path of the receiver in Airflow's API server; the page of its events is beside it."""


class StoredLink(BaseOperatorLink):
    """A link that the task itself stores, under the key where Airflow 3 searches it while the task runs."""

    @classmethod
    def build_key(cls) -> str:
        """Build the XCom's key as Airflow 3 builds it from the class's name."""
        return f"{LINK_PREFIX}{cls.__name__}"

    @classmethod
    def persist(cls, context: Context, url: str) -> None:
        """Store the link as soon as it is known, so that it is available while the task runs."""
        store_link(context["ti"], cls.build_key(), clean_text(url))

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Get the stored link; empty if there is none."""
        return read_link(self.build_key(), ti_key)


class PushMetricsRunLink(StoredLink):
    """
    A link to the outputs of the run that a task started or found; browsers see their page.

    Without the query of an event's URL, which may have a token.
    """

    name = "PushMetrics run"

    @classmethod
    def persist(cls, context: Context, url: str) -> None:
        """Store the link without its query."""
        super().persist(context, strip_query(url))


class PushMetricsReportLink(StoredLink):
    """A link to the report that a task runs or waits for."""

    name = "PushMetrics report"


class PushMetricsEventLink(StoredLink):
    """A link to the event that a sensor found, in the inbox; only where Airflow serves the receiver."""

    name = "PushMetrics event"


def persist_links(context: Context, operator: BaseOperator) -> None:
    """
    Store each link of a task as an empty one when it begins.

    Airflow requests every link when a task ends, also if it failed early, and logs an error for each one that
    is not stored.
    """
    for link in operator.operator_extra_links:
        if isinstance(link, StoredLink):
            link.persist(context, "")


def build_report_url(base_url: str, report_id: str | int) -> str:
    """Build the address of a report's page in the web interface."""
    return f"{base_url}/app/reports/{quote(str(report_id), safe='')}"


def build_event_url(receiver_url: str | None, event_id: int) -> str | None:
    """Build the URL of an event in the page that the plugin serves; None if there is no page."""
    if receiver_url is None or not receiver_url.endswith(RECEIVER_PATH):
        return None
    return f"{receiver_url}-events/#{event_id}"


def persist_event_links(context: Context, found: Mapping[str, Any], hook: PushMetricsHook) -> None:
    """Store the links to an event, its report and its run; none to an origin that is not trusted."""
    for key, url in list_event_links(found, hook.settings).items():
        store_link(context["ti"], key, clean_text(url))


def list_event_links(found: Mapping[str, Any], settings: PushMetricsSettings) -> dict[str, str]:
    """List the links to an event, its report and its run, by the XCom's key."""
    receiver, body, links = settings.receiver, found["body"], dict[str, str]()
    event_url = build_event_url(receiver.url if receiver else None, found["id"])
    if event_url is not None:
        links[PushMetricsEventLink.build_key()] = event_url
    if isinstance(body.get("report_id"), int):
        links[PushMetricsReportLink.build_key()] = build_report_url(settings.base_url, body["report_id"])
    run_url = body.get("report_notebook_outputs") or body.get("query_result")
    with suppress(PushMetricsUntrustedUrlError):
        if isinstance(run_url, str):
            settings.build_credentials().refuse_untrusted(run_url)
            links[PushMetricsRunLink.build_key()] = strip_query(run_url)
    return links
