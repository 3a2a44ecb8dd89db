from __future__ import annotations

import pytest

from airflow_provider_pushmetrics.client.models import TriggeredRun
from airflow_provider_pushmetrics.operators.run_starter import mark_replay


@pytest.mark.parametrize(
    ("run_id", "newest_before", "was_replayed"),
    [(7, 7, True), (3, 7, True), (8, 7, False), (7, None, False), (None, 7, False), (1, 0, False)],
)
def test_a_run_that_was_there_before_the_call_is_a_replay(
    run_id: int | None, newest_before: int | None, was_replayed: bool
) -> None:
    assert mark_replay(TriggeredRun(run_id=run_id), newest_before).was_replayed is was_replayed
    assert mark_replay(TriggeredRun(run_id=run_id, was_replayed=True), newest_before).was_replayed
