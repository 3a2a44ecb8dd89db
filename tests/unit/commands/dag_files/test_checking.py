from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_pushmetrics.client.models import WebhookTrigger
from airflow_provider_pushmetrics.commands.dag_files.checking import (
    CheckOutcome,
    get_error_line,
    judge_triggers,
    read_in_process,
)
from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.hooks.connection_check import Finding, Status, check_trigger_token


@pytest.mark.parametrize(
    ("actives", "status"),
    [
        ((), Status.WARNING),
        ((None,), Status.WARNING),
        ((None, False), Status.WARNING),
        ((False, False), Status.FAILED),
        ((False, True), Status.OK),
    ],
)
def test_trigger_is_disabled_only_if_pushmetrics_says_so(
    actives: tuple[bool | None, ...], status: Status
) -> None:
    triggers = tuple(WebhookTrigger(id=1, active=active) for active in actives)
    assert judge_triggers(1, triggers).status is status


def test_token_that_could_not_be_compared_is_unchecked() -> None:
    outcome = CheckOutcome()
    outcome.add("a", check_trigger_token("the token", "x", (WebhookTrigger(id=1, active=True),)))
    assert (outcome.differences, len(outcome.unchecked)) == ([], 1)
    outcome.add("a", Finding("part", Status.FAILED, "differs"))
    outcome.add("a", Finding("part", Status.OK, "works"))
    assert (outcome.differences, len(outcome.unchecked)) == (["a: differs"], 1)


TIMEOUT = "DagBag import timeout for a.py after 30.0s.\nPlease take a look:\n* https://a\n* https://b, PID: 1"
CALLS = 'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\n    import b\n'


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (CALLS + "ModuleNotFoundError: No module named 'b'\n", "ModuleNotFoundError: No module named 'b'"),
        (
            CALLS + "airflow.exceptions.AirflowTaskTimeout: " + TIMEOUT,
            "airflow.exceptions.AirflowTaskTimeout: " + TIMEOUT.partition("\n")[0],
        ),
        (TIMEOUT, TIMEOUT.partition("\n")[0]),
        ("ValidationError: 1 error\na\n  Field required", "  Field required"),
        ("", "no message"),
    ],
)
def test_import_error_is_told_by_the_line_that_says_what_it_is(text: str, line: str) -> None:
    assert get_error_line(text) == line


def test_process_that_cannot_be_started_is_told_by_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["x" * 200] * 15)
    folder.mkdir(parents=True)
    with pytest.raises(PushMetricsConfigurationError, match="no process can read the Dags"):
        read_in_process([folder] * 2000)  # more than a command line holds
