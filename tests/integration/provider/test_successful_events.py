"""Assets that only runs update which ended well: the events do not say it, so the API is asked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.responses import Response

from airflow_provider_pushmetrics.exceptions import (
    PushMetricsAuthError,
    PushMetricsConfigurationError,
    PushMetricsNotFoundError,
    PushMetricsProtocolError,
)
from airflow_provider_pushmetrics.triggers.event_stream import InboxProducer
from airflow_provider_pushmetrics.triggers.pushmetrics import PushMetricsEventTrigger
from tests.fakes.pushmetrics import FakePushMetrics
from tests.integration.provider.conftest import Connect
from tests.integration.provider.test_triggers import open_events, take

pytestmark = pytest.mark.usefixtures("quick_worker")


@pytest.fixture(autouse=True)
def no_spacing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InboxProducer, "spacing_seconds", 0.0)


def build(**kwargs: Any) -> PushMetricsEventTrigger:
    return PushMetricsEventTrigger(only_successful=True, **kwargs)


async def test_only_runs_that_ended_well_update_the_asset(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.outcomes = ["failed", "success", "cancelled", "success", "failed"]
    for _ in range(5):
        pushmetrics.start_run()
    async with open_events(build()) as events:
        assert await take(events, 2) == [2, 4]
    async with open_events(PushMetricsEventTrigger()) as events:
        assert await take(events, 5) == [1, 2, 3, 4, 5]


async def test_a_run_that_nobody_can_tell_about_does_not_update_the_asset(
    pushmetrics: FakePushMetrics,
) -> None:
    for _ in range(3):
        pushmetrics.start_run()
    pushmetrics.runs.pop(0)
    event = pushmetrics.build_event(pushmetrics.runs[0])
    pushmetrics.inbox.add({**event, "report_notebook_outputs": "https://evil.example/api/reports/1/run/9"})
    pushmetrics.inbox.add({"event": "report.run", "report_id": 1})
    pushmetrics.start_run()
    async with open_events(build()) as events:
        assert await take(events, 3) == [2, 3, 6]


async def test_an_event_waits_while_pushmetrics_is_away(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.start_run()
    pushmetrics.api_outages = 7
    async with open_events(build()) as events:
        assert await take(events, 1) == [1]


@pytest.mark.parametrize("status", [200, 302, 404])
async def test_an_event_waits_while_a_proxy_answers_in_the_place_of_pushmetrics(
    pushmetrics: FakePushMetrics, status: int
) -> None:
    """A page for maintenance, or a redirect to another host: it says nothing of the run."""
    pushmetrics.start_run()
    pushmetrics.page_status = status
    async with open_events(build()) as events:
        with pytest.raises((PushMetricsProtocolError, PushMetricsNotFoundError)):
            await asyncio.wait_for(anext(events), 10)
    pushmetrics.page_status = None
    async with open_events(build()) as events:
        assert await take(events, 1) == [1]


@pytest.mark.parametrize(
    ("path", "status"), [("user/current", 200), ("security/exchange", 405), ("hidden", 403)]
)
async def test_an_event_whose_run_alone_is_refused_holds_up_no_other(
    pushmetrics: FakePushMetrics, path: str, status: int
) -> None:
    """Such as that of another workspace, which this API token may not see."""
    pushmetrics.start_run()
    pushmetrics.results["/api/v1/hidden"] = Response("{}", status)
    event = pushmetrics.build_event(pushmetrics.runs[0])
    pushmetrics.inbox.add({**event, "report_notebook_outputs": f"{pushmetrics.url}/api/v1/{path}"})
    pushmetrics.start_run()
    async with open_events(build()) as events:
        assert await take(events, 2) == [1, 3]


async def test_without_an_api_token_nothing_updates_the_asset_and_the_error_says_why(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    connect_whole(password=None)
    pushmetrics.start_run()
    async with open_events(build()) as events:
        with pytest.raises(PushMetricsConfigurationError, match=r"only_successful is set.*no API token"):
            await asyncio.wait_for(anext(events), 10)


async def test_a_refused_api_token_leaves_the_event_in_the_inbox(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    connect_whole(password="a-wrong-api-token")
    pushmetrics.start_run()
    async with open_events(build()) as events:
        with pytest.raises(PushMetricsAuthError):
            await asyncio.wait_for(anext(events), 10)
    assert pushmetrics.inbox.stored == []
