from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_pushmetrics.client.models import RunStatus
from airflow_provider_pushmetrics.exceptions import PushMetricsNotFoundError
from airflow_provider_pushmetrics.metrics import find_team
from airflow_provider_pushmetrics.operators.run_starter import find_decision


def build_hook(status: RunStatus | None, api_token: str | None = "a-token") -> Any:
    def fetch_run(run_id: int) -> Any:
        if status is None:
            raise PushMetricsNotFoundError("gone")
        return SimpleNamespace(status=status)

    return SimpleNamespace(settings=SimpleNamespace(api_token=api_token), fetch_run=fetch_run)


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
    assert find_decision(build_hook(status), 1) == decision


def test_a_run_whose_status_cannot_be_read_is_waited_for() -> None:
    assert find_decision(build_hook(RunStatus.FAILED, api_token=None), 1) == "reconnect_success"
    assert find_decision(build_hook(RunStatus.FAILED), None) == "reconnect_success"


def test_the_team_of_a_task_is_a_tag_where_it_has_one() -> None:
    tags = {"dag_id": "a", "task_id": "b"}
    assert find_team(SimpleNamespace(stats_tags={**tags, "team_name": "sales"})) == {"team_name": "sales"}
    assert find_team(SimpleNamespace(stats_tags=tags)) == find_team(SimpleNamespace()) == {}
