"""Answers and their schemas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI, Response

from airflow_provider_pushmetrics.service.api.conventions.routers import add_routes, make_router
from airflow_provider_pushmetrics.service.api.conventions.shapes import RowWithId
from airflow_provider_pushmetrics.service.app import build_app
from airflow_provider_pushmetrics.service.runtime import ServiceParts
from tests.fakes.service_process import UNFIT
from tests.integration.service.conftest import open_client


def build_with_route(parts: ServiceParts, answer: Callable[..., Any]) -> FastAPI:
    """Build a service that has one more route."""
    app, router = build_app(parts), make_router()
    router.add_api_route("/unfit", answer, methods=["POST"], response_model=RowWithId, status_code=201)
    add_routes(app, router)
    return app


@pytest.mark.parametrize("body", [{"id": "1"}, {"id": 1, "more": None}, {}])
async def test_answer_that_does_not_fit_its_schema_is_sent_and_logged(
    parts: ServiceParts, body: object, caplog: pytest.LogCaptureFixture
) -> None:
    app = build_with_route(parts, lambda: body)
    async with open_client(app) as client:
        answer = await client.post("/unfit")
    assert (answer.status_code, answer.json()) == (201, body)
    assert f"{UNFIT} of POST /unfit" in caplog.text
    caplog.clear()


async def test_answer_that_does_not_fit_its_schema_keeps_what_the_route_set(
    parts: ServiceParts, caplog: pytest.LogCaptureFixture
) -> None:
    def answer_unfit(response: Response) -> dict[str, str]:
        response.status_code = 202
        response.headers["Idempotency-Replayed"] = "true"
        response.set_cookie("session", "s3cret")
        response.set_cookie("theme", "dark")
        return {"id": "x"}

    app = build_with_route(parts, answer_unfit)
    async with open_client(app) as client:
        answer = await client.post("/unfit")
    assert (answer.status_code, answer.json()) == (202, {"id": "x"})
    assert answer.headers["Idempotency-Replayed"] == "true"
    assert dict(answer.cookies) == {"session": "s3cret", "theme": "dark"}
    assert answer.headers.get_list("content-length") == ["10"]
    caplog.clear()
