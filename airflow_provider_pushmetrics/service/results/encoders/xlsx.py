"""
Results as workbooks of Excel.

A workbook is written to a file first, row by row, so that errors are known before the response begins.
Values that a cell cannot hold exactly are text: integers and decimals of more than 15 digits, timestamps with
a time zone or microseconds, dates before March 1900. Text is never a formula or a link.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import pyarrow as pa

from airflow_provider_pushmetrics.service.results.cells import write_cells
from airflow_provider_pushmetrics.service.results.columns import read_values
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.results.stored_result import ResultError, StoredResult
from airflow_provider_pushmetrics.service.results.values import write_text

# https://support.microsoft.com/office/excel-specifications-and-limits-1672b34d-7043-467e-8e27-269d656771c3
MAX_SHEET_ROWS = 1_048_576
MAX_COLUMNS = 16_384
MAX_CELL_CHARACTERS = 32_767
MAX_EXACT_DIGITS = 15

FIRST_DATE = date(1900, 3, 1)
"""Excel has a 29 February 1900, but other programs do not, so earlier dates are ambiguous."""

CREATED = datetime(2000, 1, 1)
"""A constant, so that a file has the same bytes each time: it may be read in parts."""

SHEET, NOTE_SHEET = "Result", "Note"

WriteCell: TypeAlias = Callable[[int, int, Any], None]


def write_xlsx(result: StoredResult, file: BinaryIO, folder: Path) -> None:
    """
    Write a workbook.

    :param file: Where it is written.
    :param folder: For the parts of the workbook; empty afterwards.
    :raises ResultError: if a sheet of Excel cannot hold the result.
    :raises OSError: if it cannot be written, such as on a full disk.
    """
    import xlsxwriter
    from xlsxwriter.exceptions import FileCreateError

    _refuse_too_large(result)
    workbook = xlsxwriter.Workbook(file, {"constant_memory": True, "tmpdir": str(folder)})
    try:
        try:
            _fill(workbook, result)
        finally:
            workbook.close()
    except FileCreateError as error:  # which hides the error of the system
        raise OSError(*error.args[0].args) from error


def _fill(workbook: Any, result: StoredResult) -> None:
    writer = _SheetWriter(workbook, result.schema)
    for batch in result.read_batches():
        writer.write(batch)
    if result.truncation.is_truncated:
        note = f"Truncated after {result.truncation.row_limit} rows: the query returned more."
        writer.add_note(workbook, note)
        workbook.set_properties({"created": CREATED, "comments": note})
    else:
        workbook.set_properties({"created": CREATED})


def open_xlsx(results: ResultStore, result: StoredResult) -> BinaryIO:
    """
    Write an anonymous temporary workbook, which is deleted when it is closed.

    :raises ResultError: if a sheet of Excel cannot hold the result.
    :raises OSError: if it cannot be written, such as on a full disk.
    """
    with ExitStack() as stack:
        # Not in the folder, which is deleted while it is open: NFS keeps the names of open files until then.
        workbook = stack.enter_context(results.open_unnamed())
        with results.make_export_folder() as folder:
            write_xlsx(result, workbook, folder)
        workbook.seek(0)
        stack.pop_all()
        return workbook


def _refuse_too_large(result: StoredResult) -> None:
    if result.row_count >= MAX_SHEET_ROWS:
        raise ResultError(
            f"{result.row_count:,} rows are too many for xlsx, which allows {MAX_SHEET_ROWS - 1:,} and a"
            " header: use CSV or Parquet, or give the query a limit."
        )
    if len(result.schema) > MAX_COLUMNS:
        raise ResultError(
            f"{len(result.schema):,} columns are too many for xlsx, which allows {MAX_COLUMNS:,}: use CSV or"
            " Parquet."
        )


class _SheetWriter:
    """Writes the rows of a result, one after the other."""

    def __init__(self, workbook: Any, schema: pa.Schema) -> None:
        self._sheet = workbook.add_worksheet(SHEET, _load_worksheet_class())
        self._names: list[str] = schema.names
        self._row = 0
        bold = workbook.add_format({"bold": True})
        for column, name in enumerate(self._names):
            self._write_text(0, column, name, bold)
        self._sheet.freeze_panes(1, 0)
        self._writers = [self._choose_writer(workbook, field.type) for field in schema]

    def write(self, batch: pa.RecordBatch) -> None:
        """Write some rows."""
        columns = [_read_cells(column) for column in batch.columns]
        for values in zip(*columns, strict=True):
            self._row += 1
            for column, (value, write) in enumerate(zip(values, self._writers, strict=True)):
                if value is not None:
                    write(self._row, column, value)

    def add_note(self, workbook: Any, note: str) -> None:
        """Add a sheet with a note about the rows."""
        workbook.add_worksheet(NOTE_SHEET).write_string(0, 0, note)

    def _choose_writer(self, workbook: Any, kind: pa.DataType) -> WriteCell:
        number_format = _find_format(kind)
        style = None if number_format is None else workbook.add_format({"num_format": number_format})
        if pa.types.is_boolean(kind):
            return lambda row, column, value: self._sheet.write_boolean(row, column, value)
        if pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_floating(kind):
            return lambda row, column, value: self._write_number(row, column, value, style)
        if pa.types.is_temporal(kind):
            return lambda row, column, value: self._write_moment(row, column, value, style)
        return self._write_text

    def _write_text(self, row: int, column: int, text: str, style: Any = None) -> None:
        if len(text) > MAX_CELL_CHARACTERS // 2 and _count_characters(text) > MAX_CELL_CHARACTERS:
            raise ResultError(
                f"column {self._names[column]!r} has a text of {_count_characters(text):,} characters in row"
                f" {row:,}, and a cell of xlsx holds {MAX_CELL_CHARACTERS:,}: use CSV or Parquet."
            )
        self._sheet.write_string(row, column, text, style)

    def _write_number(self, row: int, column: int, value: Any, style: Any) -> None:
        if isinstance(value, float):
            is_exact = math.isfinite(value)
            number: float = _ExactFloat(value)
        else:
            is_exact = _count_digits(value) <= MAX_EXACT_DIGITS
            number = float(value)
        if is_exact:
            self._sheet.write_number(row, column, number, style)
        else:
            self._write_text(row, column, write_text(value))

    def _write_moment(self, row: int, column: int, value: Any, style: Any) -> None:
        if _is_exact_moment(value):
            self._sheet.write_datetime(row, column, value, style)
        else:
            self._write_text(row, column, write_text(value))


class _ExactFloat(float):
    """A float that writes all its digits; XlsxWriter requests 16."""

    def __format__(self, spec: str) -> str:
        return repr(float(self)) if spec.endswith("G") else super().__format__(spec)


def _load_worksheet_class() -> Any:
    from xlsxwriter.worksheet import Worksheet

    class LiteralWorksheet(Worksheet):  # type: ignore[misc]
        """A sheet whose texts are never markup: XlsxWriter would interpret ``<r>…</r>``."""

        def _xml_rich_inline_string(self, string: str, attributes: Sequence[tuple[str, Any]] = ()) -> None:
            self._xml_inline_string(string, True, attributes)

    return LiteralWorksheet


def _read_cells(column: pa.Array) -> list[Any]:
    """Convert a column for its writer: numbers, timestamps, and texts for everything else."""
    kind = column.type
    is_read = pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
    is_read = is_read or pa.types.is_decimal(kind) or pa.types.is_temporal(kind)
    return read_values(column) if is_read else list(write_cells(column).to_pylist())


def _find_format(kind: pa.DataType) -> str | None:
    if pa.types.is_decimal(kind) and kind.scale > 0:
        return f"0.{'0' * kind.scale}"
    if pa.types.is_integer(kind):
        return "0"
    if pa.types.is_date(kind):
        return "yyyy-mm-dd"
    if pa.types.is_timestamp(kind):
        return "yyyy-mm-dd hh:mm:ss.000"
    return "hh:mm:ss.000" if pa.types.is_time(kind) else None


def _count_digits(value: int | Decimal) -> int:
    return len(str(abs(value))) if isinstance(value, int) else len(value.as_tuple().digits)


def _count_characters(text: str) -> int:
    """Count UTF-16 units, as Excel does."""
    return len(text.encode("utf-16-le")) // 2


def _is_exact_moment(value: Any) -> bool:
    """Return whether Excel, which counts days and has milliseconds, holds a timestamp exactly."""
    match value:
        case datetime():
            return value.tzinfo is None and value.date() >= FIRST_DATE and value.microsecond % 1000 == 0
        case time():
            return value.microsecond % 1000 == 0
        case date():
            return value >= FIRST_DATE
        case _:
            return False
