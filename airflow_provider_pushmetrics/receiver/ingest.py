"""A webhook arrives."""

from __future__ import annotations

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from airflow_provider_pushmetrics.receiver.answers import send_body, send_refusal
from airflow_provider_pushmetrics.receiver.body import read_limited_body
from airflow_provider_pushmetrics.receiver.credentials import SENDER_REFUSED, SenderGate
from airflow_provider_pushmetrics.receiver.deliveries import build_delivery, check_content_type
from airflow_provider_pushmetrics.receiver.head import read_head
from airflow_provider_pushmetrics.receiver.limits import NetworkList, RateLimit, find_client
from airflow_provider_pushmetrics.receiver.metrics import DeliveryCounter
from airflow_provider_pushmetrics.receiver.recording import Recorded
from airflow_provider_pushmetrics.receiver.refusals import Refusal, Unauthorized
from airflow_provider_pushmetrics.receiver.runtime import RuntimeOpener
from airflow_provider_pushmetrics.receiver.settings import ReceiverSettings

PATH_PREFIX = "/webhooks/"


class Ingest:
    """
    Takes deliveries in: an ASGI app of its own, because it is the way that every webhook goes.

    :param settings: The receiver's settings.
    :param runtime: Opens the inbox.
    :param counter: Counts what became of each delivery.
    """

    def __init__(self, settings: ReceiverSettings, runtime: RuntimeOpener, counter: DeliveryCounter) -> None:
        self._settings = settings
        self._gate = SenderGate(settings.sources)
        self._networks = {source.name: NetworkList(source) for source in settings.sources}
        self._rates = {source.name: RateLimit(source) for source in settings.sources}
        self._runtime = runtime
        self._counter = counter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer ``POST /webhooks/{source}``."""
        try:
            recorded = await self._record(scope, receive)
        except Refusal as refusal:
            self._note(scope, refusal)
            await send_refusal(send, refusal)
            return
        except ClientDisconnect:
            return  # the sender hung up before its body was complete
        outcome = "accepted" if recorded.is_new else "duplicate"
        self._counter.count(outcome)
        body = b'{"id": %d, "outcome": "%b"}' % (recorded.id, outcome.encode("ascii"))
        await send_body(send, 202 if recorded.is_new else 200, body)

    async def _record(self, scope: Scope, receive: Receive) -> Recorded:
        source, head = scope["path_params"]["source"], read_head(scope)
        body = await read_limited_body(  # bounded, before anything else
            receive,
            head.get("content-length"),
            max_bytes=self._settings.max_body_bytes,
            timeout_seconds=self._settings.body_timeout_seconds,
        )
        message_id = self._gate.admit(source, head, body)  # bytes, constant time
        self._check_limits(source, scope)
        check_content_type(head.get("content-type"), head.get("content-encoding"))
        delivery = build_delivery(source, message_id, body)  # only what is proved is parsed
        runtime = await self._runtime.get()
        return await runtime.writer.record(delivery)  # idempotent; committed before we answer

    def _check_limits(self, source: str, scope: Scope) -> None:
        """Ask what a proved source may; a stranger must not use its rate up, nor learn of its networks."""
        if not self._networks[source].allows(find_client(scope)):
            raise Unauthorized(SENDER_REFUSED, "network")
        self._rates[source].take()

    def _note(self, scope: Scope, refusal: Refusal) -> None:
        reason = refusal.reason if isinstance(refusal, Unauthorized) else None
        self._counter.count(refusal.outcome, reason)
        self._runtime.rejections.add(
            source=scope["path_params"]["source"],
            client=find_client(scope),
            status=refusal.status_code,
            outcome=refusal.outcome,
            reason=reason or str(refusal),
        )


def find_source(scope: Scope) -> str | None:
    """Find the source that a request delivers to, or None if it is no delivery."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return None
    path: str = scope["path"].removeprefix(scope.get("root_path", ""))
    if not path.startswith(PATH_PREFIX):
        return None
    source = path[len(PATH_PREFIX) :]
    return source if source and "/" not in source else None
