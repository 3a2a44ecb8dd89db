from __future__ import annotations

import io

import pytest
from rich.console import Console

from demo.display import Display


class Ticks:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.5
        return self.now


@pytest.fixture(name="out")
def make_out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture(name="display")
def make_display(out: io.StringIO) -> Display:
    return Display(Console(file=out, width=100, highlight=False, soft_wrap=True), clock=Ticks())


def test_each_step_is_announced_with_its_number_and_says_how_it_ended(
    display: Display, out: io.StringIO
) -> None:
    with display.step("Start [red]Airflow") as step:
        assert out.getvalue() == " 1  Start [red]Airflow …\n"
        step.note = "http://127.0.0.1:8080"
    with pytest.raises(ValueError, match="no"), display.step("Run it"):
        raise ValueError("no")
    assert out.getvalue().splitlines()[1:] == [
        " 1  Start [red]Airflow: done in 1.5 s (http://127.0.0.1:8080)",
        " 2  Run it …",
        " 2  Run it: not done in 1.5 s",
    ]


def test_rows_are_shown_as_a_table(display: Display, out: io.StringIO) -> None:
    rows = [{"carrier": "B6", "flights": 3105, "mean_dep_delay": 12.3456, "name": "[b]x"}]
    display.show_rows("Departure delays", rows)
    text = out.getvalue()
    assert all(word in text for word in ("Departure delays", "carrier", "B6", "3,105", "12.35", "[b]x"))


def test_a_failure_shows_what_and_the_end_of_the_log(display: Display, out: io.StringIO) -> None:
    display.show_failure("airflow standalone ended by itself.", "first\nlast")
    assert out.getvalue().splitlines() == [
        "The demo failed: airflow standalone ended by itself.",
        "The end of the log:",
        "  | first",
        "  | last",
    ]
