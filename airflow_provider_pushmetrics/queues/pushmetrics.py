"""The scheme ``pushmetrics`` of ``MessageQueueTrigger``; it needs the extra ``common-messaging``."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from airflow.providers.common.messaging.providers.base_provider import BaseMessageQueueProvider

from airflow_provider_pushmetrics.assets.uris import SCHEME, parse_uri
from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.triggers.pushmetrics import PushMetricsEventTrigger


class PushMetricsMessageQueueProvider(BaseMessageQueueProvider):
    """
    Let ``MessageQueueTrigger`` wait for the events in the receiver's inbox.

    ``MessageQueueTrigger(scheme="pushmetrics", report_id=1)`` accepts the parameters of
    ``PushMetricsEventTrigger``. With a queue URI, as in older versions of the messaging
    provider, ``pushmetrics://pushmetrics.io/reports/1`` sets the report and the query.
    """

    scheme = SCHEME

    def queue_matches(self, queue: str) -> bool:
        """Return whether a queue's URI has the scheme ``pushmetrics``."""
        return urlsplit(queue).scheme == SCHEME

    def trigger_class(self) -> type[PushMetricsEventTrigger]:
        """Get the trigger that reads the inbox."""
        return PushMetricsEventTrigger

    def trigger_kwargs(self, queue: str, **kwargs: Any) -> dict[str, Any]:
        """
        Read the trigger's arguments from a queue's URI; the connection sets the host, not the URI.

        :raises PushMetricsParameterError: if the URI is invalid, or repeats an argument.
        """
        uri = parse_uri(queue)
        given = {"report_id": uri.report_id, "query_id": uri.query_id}
        found = {name: _read_number(name, text) for name, text in given.items() if text is not None}
        if repeated := sorted(found.keys() & kwargs.keys()):
            raise PushMetricsParameterError(
                f"{', '.join(repeated)} is in the queue {queue!r} and in the arguments: leave one out."
            )
        if uri.query_id is not None and "event" not in kwargs:
            found["event"] = "query.run"
        return found


def _read_number(name: str, text: str) -> Any:
    if not text.isdigit():
        raise PushMetricsParameterError(
            f"{name} in the queue's URI is {text!r}: it must be a number, as in events."
        )
    return int(text)
