from __future__ import annotations

import pytest

from airflow_provider_pushmetrics.client.models import WebhookTrigger
from airflow_provider_pushmetrics.commands.dag_files.checking import CheckOutcome, judge_triggers
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
