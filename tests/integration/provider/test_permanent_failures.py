"""Which failures Airflow retries, without a retry policy: none that each try would meet again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from starlette.responses import Response

from airflow_provider_pushmetrics.exceptions import (
    PushMetricsApiError,
    PushMetricsAuthError,
    PushMetricsError,
    PushMetricsNotFoundError,
    PushMetricsParameterError,
    PushMetricsRunFailed,
)
from airflow_provider_pushmetrics.tasks.retry_policy import PushMetricsRetryPolicy
from airflow_provider_pushmetrics.transfers.pushmetrics import PushMetricsToObjectStorageOperator
from tests.fakes.airflow_versions import needs_airflow
from tests.fakes.loopback import LoopbackServer
from tests.fakes.pushmetrics import FakePushMetrics
from tests.fakes.triggerer import fire_impatiently
from tests.integration.provider.conftest import Connect
from tests.integration.provider.test_operator import run_task
from tests.integration.provider.test_sensor import run_sensor

pytestmark = pytest.mark.usefixtures("quick_worker")


def save(**kwargs: Any) -> Any:
    url = "/api/reports/1/queries/1/reportRun/99"
    operator = PushMetricsToObjectStorageOperator(task_id="save", path="/nonexistent/x.csv", **kwargs)
    operator.query_result = operator.hook.settings.base_url + url
    return operator.execute({})


WRONG: dict[str, Any] = {
    "password": "a-wrong-one",
    "trigger_tokens": {"1": "a-wrong-one"},
    "receiver_token": "a-wrong-one",
}
TASKS: list[Callable[..., Any]] = [
    run_task,
    lambda **kwargs: run_task(deferrable=True, **kwargs),
    lambda **kwargs: run_sensor(poke_interval=0.01, **kwargs),
    lambda **kwargs: run_sensor(deferrable=True, **kwargs),
    lambda **kwargs: save(query_result="a url", **kwargs),
]
NAMES = ["operator", "deferred-operator", "sensor", "deferred-sensor", "transfer"]


def fail_with(error: type[PushMetricsError], run: Callable[[], Any]) -> Any:
    with pytest.raises(error) as caught:
        run()
    return caught.value


@pytest.mark.parametrize("task", TASKS, ids=NAMES)
def test_a_rejected_token_is_not_retried(
    connect_whole: Connect, pushmetrics: FakePushMetrics, task: Callable[..., Any]
) -> None:
    pushmetrics.start_run()
    connect_whole(
        password="a-wrong-token", trigger_tokens={"1": "a-wrong-token"}, receiver_token="a-wrong-one"
    )
    error = fail_with(PushMetricsAuthError, task)
    assert isinstance(error, AirflowFailException)
    assert (type(error).__name__, error.status_code) == ("PushMetricsAuthError", 401)


@pytest.mark.usefixtures("connect_whole")
def test_an_unknown_report_is_not_retried(server: LoopbackServer) -> None:
    server.app = Response(status_code=404)
    assert isinstance(fail_with(PushMetricsNotFoundError, run_task), AirflowFailException)


@pytest.mark.parametrize(
    ("status", "is_final"), [(400, True), (410, True), (422, True), (408, False), (429, False), (500, False)]
)
def test_a_rejected_request_is_not_retried_but_one_that_may_work_later(
    server: LoopbackServer, status: int, is_final: bool
) -> None:
    server.app = Response(status_code=status, headers={"retry-after": "3600"})
    error = fail_with(PushMetricsApiError, lambda: save(query_result="a url"))
    assert isinstance(error, AirflowFailException) is is_final
    assert error.status_code == status


def test_wrong_arguments_are_not_retried(pushmetrics: FakePushMetrics) -> None:
    error = fail_with(PushMetricsParameterError, lambda: run_task(parameters={"token": 1}))
    assert isinstance(error, AirflowFailException)
    assert isinstance(error, ValueError)


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_failed_report_is_retried(pushmetrics: FakePushMetrics, deferrable: bool) -> None:
    pushmetrics.outcomes = ["failed"]
    error = fail_with(PushMetricsRunFailed, lambda: run_task(deferrable=deferrable))
    assert not isinstance(error, AirflowFailException)


@needs_airflow("3.3")
@pytest.mark.parametrize("task", TASKS, ids=NAMES)
def test_a_retry_policy_decides_instead(connect_whole: Connect, task: Callable[..., Any]) -> None:
    connect_whole(
        password="a-wrong-token", trigger_tokens={"1": "a-wrong-token"}, receiver_token="a-wrong-one"
    )
    error = fail_with(PushMetricsAuthError, lambda: task(retry_policy=PushMetricsRetryPolicy()))
    assert not isinstance(error, AirflowFailException)


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_sensor_that_may_fail_softly_is_not_skipped_for_a_rejected_token(
    connect_whole: Connect, pushmetrics: FakePushMetrics, deferrable: bool
) -> None:
    connect_whole(**WRONG)
    error = fail_with(PushMetricsAuthError, lambda: run_sensor(deferrable=deferrable, soft_fail=True))
    assert not isinstance(error, AirflowFailException)


def test_a_failure_in_the_triggerer_keeps_what_a_retry_depends_on(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    """The token is replaced while the task waits."""
    pushmetrics.outcomes, pushmetrics.looks = ["running"], 10**6

    def replace_token() -> None:
        connect_whole(**WRONG)

    def run() -> Any:
        return run_sensor(replace_token, fires=fire_impatiently, deferrable=True, run_id=1, timeout=60)

    error = fail_with(PushMetricsAuthError, run)
    assert isinstance(error, AirflowFailException)
    assert error.status_code == 401
