"""Results as tables in messages: the first rows, with a note if there are more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from html import escape

import pyarrow as pa

from airflow_provider_pushmetrics.service.results.cells import write_cells
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError
from airflow_provider_pushmetrics.service.templates.markup import UNWRITABLE, Fragment
from airflow_provider_pushmetrics.service.templates.plain_text import write_table

DEFAULT_ROWS = 100
MAX_TABLE_ROWS = 1000
MAX_TABLE_CELL_LENGTH = 1000


@dataclass(frozen=True)
class Extent:
    """
    The number of rows of a result.

    :param is_truncated: Whether rows beyond the limit were dropped.
    """

    row_count: int
    is_truncated: bool = False

    def describe_cut(self, shown: int) -> str | None:
        """Describe that there are more rows than are shown; None if there are not."""
        if self.is_truncated:
            more = "more rows" if shown == self.row_count else f"more than {self.row_count:,} rows"
            return f"first {shown:,} of {more}"
        return f"first {shown:,} of {self.row_count:,} rows" if shown < self.row_count else None


@dataclass(frozen=True)
class Cells:
    """
    The texts of a table.

    :param is_number: Which columns contain numbers, and are aligned to the right.
    """

    names: list[str]
    is_number: list[bool]
    rows: list[list[str]]


@dataclass(frozen=True)
class ResultTable:
    """
    ``{{ query_1.table }}``: the rows of a query as a table.

    :param read: Reads the first rows, up to a number.
    """

    read: Callable[[int], Cells]
    extent: Extent
    row_limit: int = DEFAULT_ROWS

    def head(self, count: int) -> ResultTable:
        """Limit the number of rows: ``{{ query_1.table.head(20) }}``."""
        if not isinstance(count, int) or isinstance(count, bool) or not 0 < count <= MAX_TABLE_ROWS:
            raise BlockTemplateError(f"a table shows from 1 to {MAX_TABLE_ROWS} rows, not {count!r}.")
        return replace(self, row_limit=count)

    def embed(self) -> Fragment:
        """Write the table as HTML and as lines of text."""
        cells = self.read(self.row_limit)
        note = self.extent.describe_cut(len(cells.rows))
        return Fragment(_write_html(cells, note), _write_text(cells, note))

    def __str__(self) -> str:
        """Write the table as lines of text."""
        return self.embed().text


def read_cells(results: ResultStore, file: str, limit: int) -> Cells:
    """Read the first rows of a result as texts."""
    with results.open(file) as result:
        rows = [row for batch in result.read_slice(0, limit) for row in _write_rows(batch)]
    return Cells(
        [UNWRITABLE.sub("\ufffd", name) for name in result.schema.names],
        [_is_number(column.type) for column in result.schema],
        rows,
    )


def _write_rows(batch: pa.RecordBatch) -> Iterator[list[str]]:
    columns = [[_write_cell(text) for text in write_cells(column).to_pylist()] for column in batch.columns]
    return (list(row) for row in zip(*columns, strict=True))


def _write_cell(text: str | None) -> str:
    text = UNWRITABLE.sub("\ufffd", text or "")
    return text if len(text) <= MAX_TABLE_CELL_LENGTH else f"{text[: MAX_TABLE_CELL_LENGTH - 1]}…"


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _write_html(cells: Cells, note: str | None) -> str:
    sides = [' align="right"' if is_number else "" for is_number in cells.is_number]
    lines = ['<table border="1" cellpadding="6" cellspacing="0" style="border-collapse: collapse">']
    for tag, rows in (("th", [cells.names]), ("td", cells.rows)):
        for row in rows:
            written = (f"<{tag}{side}>{escape(cell)}</{tag}>" for cell, side in zip(row, sides, strict=True))
            lines.append(f"<tr>{''.join(written)}</tr>")
    lines.append("</table>")
    if note:
        lines.append(f"<p>{_capitalize(note)}.</p>")
    return "\n".join(lines)


def _write_text(cells: Cells, note: str | None) -> str:
    rows = [[" ".join(cell.split()) for cell in row] for row in (cells.names, *cells.rows)]
    lines = write_table(rows, cells.is_number)
    lines.insert(1, "-" * max(map(len, lines), default=0))
    return "\n".join([*lines, *([f"{_capitalize(note)}."] if note else [])])


def _capitalize(note: str) -> str:
    return note[:1].upper() + note[1:]
