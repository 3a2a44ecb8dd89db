"""The endpoint that accepts webhooks."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from airflow_provider_pushmetrics.receiver.endpoints.access import Authenticators, CurrentAccess
from airflow_provider_pushmetrics.receiver.endpoints.authentication import SENDER_REFUSED
from airflow_provider_pushmetrics.receiver.endpoints.body import read_limited_body
from airflow_provider_pushmetrics.receiver.endpoints.deadline import Deadline
from airflow_provider_pushmetrics.receiver.endpoints.limits import check_rate, find_client
from airflow_provider_pushmetrics.receiver.endpoints.parsing import (
    check_content_type,
    parse_webhook,
    strip_bom,
)
from airflow_provider_pushmetrics.receiver.endpoints.paths import describe_path, hide_tokens
from airflow_provider_pushmetrics.receiver.endpoints.request_head import RequestHead, read_head
from airflow_provider_pushmetrics.receiver.endpoints.responses import send_body, send_refusal
from airflow_provider_pushmetrics.receiver.errors import Refusal, Unauthorized
from airflow_provider_pushmetrics.receiver.inbox.records import IncomingWebhook, Recorded
from airflow_provider_pushmetrics.receiver.metrics import DeliveryCounter
from airflow_provider_pushmetrics.receiver.runtime import RuntimeOpener
from airflow_provider_pushmetrics.receiver.settings import MAX_BODY_BYTES, ReceiverSettings, SourceSettings
from airflow_provider_pushmetrics.serving.traces import Span, span
from airflow_provider_pushmetrics.tracing import TRACEPARENT, parse_traceparent


@dataclass(eq=False)
class Ingest:
    """
    Accepts webhooks: an ASGI app without a framework, because every webhook passes here.

    :param settings: The receiver's settings.
    :param access: The current credentials.
    :param runtime: Opens the inbox.
    :param counter: Counts the outcomes.
    """

    settings: ReceiverSettings
    access: CurrentAccess
    runtime: RuntimeOpener
    counter: DeliveryCounter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer ``POST /webhooks/{source}``."""
        try:
            recorded = await self._record(scope, receive)
        except Refusal as refusal:
            self._record_rejection(scope, refusal)
            await send_refusal(send, refusal)
            return
        except ClientDisconnect:
            return  # the sender disconnected before its body was complete
        outcome = "accepted" if recorded.is_new else "duplicate"
        self.counter.count(outcome)
        body = b'{"id": %d, "outcome": "%b"}' % (recorded.id, outcome.encode("ascii"))
        await send_body(send, 202 if recorded.is_new else 200, body)

    async def _record(self, scope: Scope, receive: Receive) -> Recorded:
        began_ns = time.time_ns()
        source, head = scope["path_params"]["source"], read_head(scope)
        declared = head.get("content-length")
        with Deadline(self.settings.body_timeout_seconds) as deadline:
            body = await read_limited_body(receive, declared, max_bytes=MAX_BODY_BYTES)  # limited first
            deadline.complete_body()
            gates = await self.access.get()
            message_id = gates.senders.authenticate(source, head, body)  # bytes, constant time
            self._check_limits(gates, source, scope)
            # Only of those that may send: others must not fill the traces.
            with _measure(head, message_id, began_ns) as request:
                trace = parse_traceparent(request.traceparent)
                delivery = _parse_webhook(gates.sources[source], head, message_id, body, trace)
                runtime = await self.runtime.get()
                recorded = await runtime.writer.record(delivery)  # idempotent; committed before the response
                request.add({"pushmetrics.event.id": recorded.id})
                return recorded

    def record_unknown_path(self, scope: Scope, path: str, status: int) -> None:
        """Record a request to an unknown path: its sender has a wrong URL."""
        self.counter.count("not_found")
        self.runtime.rejections.add(
            source="",
            client=find_client(scope),
            status=status,
            outcome="not_found",
            reason=f"no such path: {describe_path(path, self.access.gates.list_secrets())}",
        )

    def _check_limits(self, gates: Authenticators, source: str, scope: Scope) -> None:
        """Check the limits of an authenticated source; others must not use its rate or learn its networks."""
        if not gates.networks[source].allows(find_client(scope)):
            raise Unauthorized(SENDER_REFUSED, "network")
        check_rate(gates.rates[source])

    def _record_rejection(self, scope: Scope, refusal: Refusal) -> None:
        reason = refusal.reason if isinstance(refusal, Unauthorized) else None
        self.counter.count(refusal.outcome, reason)
        source = scope["path_params"]["source"]
        # It may contain a token. Hidden for every source: the response time must not disclose which exist.
        hidden = hide_tokens(source, self.access.gates.list_secrets())
        self.runtime.rejections.add(
            source=source if source in self.access.gates.sources else hidden,
            client=find_client(scope),
            status=refusal.status_code,
            outcome=refusal.outcome,
            reason=reason or str(refusal),
        )


def _parse_webhook(
    source: SourceSettings, head: RequestHead, message_id: str | None, body: bytes, traceparent: str | None
) -> IncomingWebhook:
    is_lenient = source.lenient_content_type
    check_content_type(head.get("content-type"), head.get("content-encoding"), is_lenient=is_lenient)
    plain = strip_bom(body) if is_lenient else body
    return parse_webhook(source.name, message_id, plain, traceparent=traceparent)


def _measure(head: RequestHead, message_id: str | None, began_ns: int) -> AbstractContextManager[Span]:
    facts = {
        "http.request.method": "POST",
        "http.route": "/webhooks/{source}",
        "messaging.system": "pushmetrics",
        "messaging.operation.type": "receive",
        "messaging.operation.name": "receive",
    }
    if message_id is not None:
        facts["messaging.message.id"] = message_id
    parent = head.get(TRACEPARENT).decode("latin-1")
    return span("POST /webhooks/{source}", parent=parent, kind="server", facts=facts, started_ns=began_ns)
