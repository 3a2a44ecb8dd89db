"""The output of the demo: numbered steps with the time that each took, and tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table


@dataclass
class Display:
    """Prints to a console."""

    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))
    clock: Callable[[], float] = time.monotonic
    _number: int = 0

    @contextmanager
    def step(self, title: str) -> Iterator[SimpleNamespace]:
        """Print a step, and how long it took when the block ends, with the ``note`` that was set on it."""
        self._number += 1
        label = f"[bold]{self._number:2}[/bold]  {escape(title)}"
        step, started_at, outcome = SimpleNamespace(note=""), self.clock(), "[red]not done[/red]"
        self.console.print(f"{label} …")
        try:
            yield step
            outcome = "[green]done[/green]"
        finally:
            note = f" ({escape(step.note)})" if step.note else ""
            self.console.print(f"{label}: {outcome} in {self.clock() - started_at:.1f} s{note}")

    def print_line(self, text: str) -> None:
        """Print a line unchanged."""
        self.console.print(text, markup=False)

    def show_rows(self, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Print rows as a table, numbers as people write them."""
        table = Table(title=escape(title), title_justify="left")
        for name, value in (rows[0] if rows else {}).items():
            table.add_column(escape(name), justify="left" if isinstance(value, str) else "right")
        for row in rows:
            formats = {int: "{:,}", float: "{:,.2f}"}
            table.add_row(*(escape(formats.get(type(one), "{}").format(one)) for one in row.values()))
        self.console.print(table)

    def show_failure(self, message: str, log: str = "") -> None:
        """Print an error, and the end of the log."""
        self.console.print(f"[bold red]The demo failed:[/bold red] {escape(message)}")
        if log:
            self.print_line("\n".join(["The end of the log:", *(f"  | {line}" for line in log.splitlines())]))
