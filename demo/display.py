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
class Step:
    """A step in progress, with a note to print when it is done."""

    note: str = ""


@dataclass
class Display:
    """
    Prints the steps and how long each took.

    :param console: The output.
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
        step, started_at, outcome = Step(), self.clock(), "[red]not done[/red]"
        self.console.print(f"{label} …")
        try:
            yield step
            outcome = "[green]done[/green]"
        finally:
            note = f" ({escape(step.note)})" if step.note else ""
            self.console.print(f"{label}: {outcome} in {self.clock() - started_at:.1f} s{note}")

    def print_line(self, text: str = "") -> None:
        """Print a line unchanged."""
        self.console.print(text, markup=False)

    def show_rows(self, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Print the first rows as a table."""
        table = Table(title=escape(title), title_justify="left")
        for name, value in (rows[0] if rows else {}).items():
            table.add_column(escape(name), justify="right" if isinstance(value, int | float) else "left")
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


def format_cell(value: Any) -> str:
    """Format a value for reading."""
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else escape(str(value))
