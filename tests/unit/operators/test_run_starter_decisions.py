from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_pushmetrics.client.models import Run, RunStatus
from airflow_provider_pushmetrics.client.waits import RunTarget
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsAuthError,
    PushMetricsError,
    PushMetricsNotFoundError,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.metrics import find_team
from airflow_provider_pushmetrics.operators.run_starter import find_decision

REPORT_ID = "7"


def build_hook(
    status: RunStatus | None,
    api_token: str | None = "a-token",
    report_id: int | None = int(REPORT_ID),
    list_error: PushMetricsError | None = None,
) -> Any:
    def fetch_run(run_id: int) -> Any:
        if status is None:
            raise PushMetricsNotFoundError("gone")
        return Run(id=run_id, status=status, report_id=report_id)

    def fetch_runs(report_id: str) -> Any:
        if list_error is not None:
            raise list_error
        return ()

    settings = SimpleNamespace(api_token=api_token)
    return SimpleNamespace(settings=settings, fetch_run=fetch_run, fetch_runs=fetch_runs)


def build_target(run_id: int | None) -> RunTarget:
    return RunTarget(REPORT_ID, run_id, None)


@pytest.mark.parametrize(
    ("status", "decision"),
    [
        (RunStatus.RUNNING, "reconnect_success"),
        (RunStatus.UNKNOWN, "reconnect_success"),
        (RunStatus.SUCCESS, "already_succeeded"),
        (RunStatus.FAILED, "terminal_resubmit"),
        (RunStatus.CANCELLED, "terminal_resubmit"),
        (None, "terminal_resubmit"),
    ],
)
def test_another_run_follows_only_one_that_failed_or_is_gone(status: RunStatus | None, decision: str) -> None:
    assert find_decision(build_hook(status), build_target(1)) == decision


def test_a_404_of_every_request_is_that_of_a_proxy_and_starts_no_other_run() -> None:
    hook = build_hook(None, list_error=PushMetricsNotFoundError("no route"))
    with pytest.raises(PushMetricsUnavailableError, match="gone"):
        find_decision(hook, build_target(1))


def test_a_run_is_gone_also_for_a_token_that_may_not_list_runs() -> None:
    hook = build_hook(None, list_error=PushMetricsAuthError("not allowed"))
    assert find_decision(hook, build_target(1)) == "terminal_resubmit"


def test_a_run_whose_status_cannot_be_read_is_waited_for() -> None:
    assert find_decision(build_hook(RunStatus.FAILED, api_token=None), build_target(1)) == "reconnect_success"
    assert find_decision(build_hook(RunStatus.FAILED), build_target(None)) == "reconnect_success"


@pytest.mark.parametrize("status", [RunStatus.RUNNING, RunStatus.SUCCESS, RunStatus.FAILED])
def test_a_run_of_another_report_is_not_that_of_an_earlier_try(status: RunStatus) -> None:
    """Its id repeats, since PushMetrics was restored from a backup."""
    assert find_decision(build_hook(status, report_id=8), build_target(1)) == "terminal_resubmit"


def test_a_run_whose_report_is_not_told_is_that_of_an_earlier_try() -> None:
    assert (
        find_decision(build_hook(RunStatus.SUCCESS, report_id=None), build_target(1)) == "already_succeeded"
    )


def test_the_team_of_a_task_is_a_tag_where_it_has_one() -> None:
    tags = {"dag_id": "a", "task_id": "b"}
    assert find_team(SimpleNamespace(stats_tags={**tags, "team_name": "sales"})) == {"team_name": "sales"}
    assert find_team(SimpleNamespace(stats_tags=tags)) == find_team(SimpleNamespace()) == {}
