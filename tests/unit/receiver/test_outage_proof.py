from __future__ import annotations

import pytest

from benchmarks.receiver_outage import Answer, judge

ANSWERS = [
    Answer(1, asked=-1, answered=-0.5, status=202, has_retry_after=False),
    Answer(2, asked=10, answered=11, status=503, has_retry_after=True),
    Answer(3, asked=61, answered=62, status=202, has_retry_after=False),
]


@pytest.mark.parametrize(
    ("minutes", "lines", "holds"), [(0.5, 3, True), (1, 3, True), (1, 4, False), (3, 7, True), (3, 8, False)]
)
def test_proof_of_an_outage_wants_as_many_log_lines_as_it_checks(
    minutes: float, lines: int, holds: bool
) -> None:
    ended = 60 * minutes
    answers = [*ANSWERS, Answer(4, asked=ended + 1, answered=ended + 2, status=202, has_retry_after=False)]
    during = [answer for answer in answers if answer.number != 3 or ended <= 60]
    found = judge(during, began=0, ended=ended, lost=0, lines=lines)
    assert found.holds is holds
    assert f"≤ {1 + 2 * max(1, round(minutes))} log lines: the first and 2 a minute" in found.wanted


def test_proof_of_an_outage_does_not_hold_with_an_answer_that_is_no_503() -> None:
    wrong = Answer(4, asked=20, answered=21, status=202, has_retry_after=False)
    assert not judge([*ANSWERS, wrong], began=0, ended=60, lost=0, lines=1).holds
    assert not judge(ANSWERS, began=0, ended=60, lost=1, lines=1).holds
    assert judge(ANSWERS, began=0, ended=60, lost=0, lines=1).holds
