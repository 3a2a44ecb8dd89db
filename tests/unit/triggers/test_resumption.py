from __future__ import annotations

import time

import pytest

from airflow_provider_pushmetrics.triggers.resumption import compute_not_before, is_local_executor

SETTINGS = {
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "20",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "2",
}


@pytest.mark.parametrize(
    ("executor", "seconds"), [("LocalExecutor", 23), ("CeleryExecutor", 32), ("KubernetesExecutor", 32)]
)
def test_a_task_rests_until_its_worker_has_reported_and_the_scheduler_has_read_it(
    monkeypatch: pytest.MonkeyPatch, executor: str, seconds: int
) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    assert compute_not_before(executor) == pytest.approx(time.time() + seconds, abs=2)


@pytest.mark.parametrize(
    ("executor", "is_local"),
    [
        ("LocalExecutor", True),
        ("SequentialExecutor", True),
        ("local:airflow.executors.local_executor.LocalExecutor", True),
        ("=team:LocalExecutor", True),
        ("CeleryExecutor", False),
        ("my_company.executors.LocalExecutorOnKubernetes", False),
    ],
)
def test_an_executor_is_local_by_its_name(executor: str, is_local: bool) -> None:
    assert is_local_executor(executor) is is_local


@pytest.mark.parametrize(
    ("configured", "is_local"),
    [("LocalExecutor,CeleryExecutor", True), ("CeleryExecutor,LocalExecutor", False)],
)
def test_a_task_that_names_no_executor_has_the_first_one(
    monkeypatch: pytest.MonkeyPatch, configured: str, is_local: bool
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", configured)
    assert is_local_executor(None) is is_local
