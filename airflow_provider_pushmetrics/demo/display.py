"""The output of the demo."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

MAX_DISPLAY_ROWS = 25


@dataclass
class Display:
    """
    Prints the steps and how long each took.

    :param console: The output: with a spinner on a terminal, in plain lines elsewhere.
    :param clock: Returns the time in seconds.
    """

    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))
    clock: Callable[[], float] = time.monotonic
    _number: int = 0

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Print a step, and how long it took when the block ends."""
        self._number += 1
        label = f"[bold]{self._number:2}[/bold]  {escape(title)}"
        step, started_at = Step(), self.clock()
        try:
            with self._announce(label):
                yield step
        except BaseException:
            self._finish(label, "[red]not done[/red]", started_at, "")
            raise
        self._finish(label, "[green]done[/green]", started_at, step.note)

    def print_line(self, text: str = "") -> None:
        """Print a line unchanged."""
        self.console.print(text, markup=False)

    def show_rows(self, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Print the first rows as a table."""
        if not rows:
            self.print_line(f"{title}: no rows")
            return
        table = Table(title=escape(title), title_justify="left")
        for name in rows[0]:
            table.add_column(escape(name), justify="right" if is_number(rows[0][name]) else "left")
        for row in rows[:MAX_DISPLAY_ROWS]:
            table.add_row(*(format_cell(value) for value in row.values()))
        self.console.print(table)
        if len(rows) > MAX_DISPLAY_ROWS:
            self.print_line(f"… and {len(rows) - MAX_DISPLAY_ROWS} more rows")

    def show_failure(self, message: str, log: str = "") -> None:
        """Print an error, and the end of the log."""
        self.console.print(f"[bold red]The demo failed:[/bold red] {escape(message)}")
        if log:
            self.print_line("The end of the log:")
            self.print_line("\n".join(f"  | {line}" for line in log.splitlines()))

    @contextmanager
    def _announce(self, label: str) -> Iterator[None]:
        if self.console.is_terminal:
            with self.console.status(label):
                yield
        else:
            self.console.print(f"{label} …")
            yield

    def _finish(self, label: str, outcome: str, started_at: float, note: str) -> None:
        took = f"{self.clock() - started_at:.1f} s"
        self.console.print(f"{label}: {outcome} in {took}" + (f" ({escape(note)})" if note else ""))


@dataclass
class Step:
    """
    A step in progress.

    :param note: A note to print when it is done.
    """

    note: str = ""


def format_cell(value: Any) -> str:
    """Format a value for reading."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.2f}"
    return escape(f"{value:,}" if is_number(value) else str(value))


def is_number(value: Any) -> bool:
    """Return whether a value is a number; booleans are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)
