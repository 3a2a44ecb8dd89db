"""A webhook arrives."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from airflow_provider_pushmetrics.receiver.body import read_limited_body
from airflow_provider_pushmetrics.receiver.credentials import SenderGate
from airflow_provider_pushmetrics.receiver.deliveries import build_delivery, check_content_type
from airflow_provider_pushmetrics.receiver.inbox import Recorded
from airflow_provider_pushmetrics.receiver.metrics import DeliveryCounter
from airflow_provider_pushmetrics.receiver.refusals import Refusal
from airflow_provider_pushmetrics.receiver.runtime import RuntimeOpener
from airflow_provider_pushmetrics.receiver.settings import ReceiverSettings


class Ingest:
    """
    Takes deliveries in.

    :param settings: The receiver's settings.
    :param runtime: Opens the inbox.
    :param counter: Counts what became of each delivery.
    """

    def __init__(self, settings: ReceiverSettings, runtime: RuntimeOpener, counter: DeliveryCounter) -> None:
        self._settings = settings
        self._gate = SenderGate(settings.sources)
        self._runtime = runtime
        self._counter = counter

    async def receive(self, request: Request) -> Response:
        """Answer ``POST /webhooks/{source}``."""
        try:
            recorded = await self._record(request)
        except Refusal as refusal:
            self._counter.count(refusal.outcome)
            raise
        outcome = "accepted" if recorded.is_new else "duplicate"
        self._counter.count(outcome)
        return JSONResponse({"id": recorded.id, "outcome": outcome}, 202 if recorded.is_new else 200)

    async def _record(self, request: Request) -> Recorded:
        source, headers = request.path_params["source"], request.headers
        body = await read_limited_body(  # bounded, before anything else
            request,
            max_bytes=self._settings.max_body_bytes,
            timeout_seconds=self._settings.body_timeout_seconds,
        )
        message_id = self._gate.admit(source, headers, request.query_params, body)  # bytes, constant time
        check_content_type(headers.get("content-type"), headers.get("content-encoding"))
        delivery = build_delivery(source, message_id, body)  # only what is proved is parsed
        runtime = await self._runtime.get()
        return await runtime.writer.record(delivery)  # idempotent; committed before we answer
