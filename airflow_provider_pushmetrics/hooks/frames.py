"""Results of queries as tables: Arrow, and data frames made from it."""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.hooks.portable import MAX_PORTABLE_DIGITS, make_portable

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

NULLABLE = {
    f"{sign}int{bits}": f"{'UInt' if sign else 'Int'}{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}
"""The types of pandas for integers with missing values; by default pandas converts them to floats."""


def read_arrow(chunks: Iterator[bytes]) -> pyarrow.Table:
    """
    Read a table from an Arrow IPC stream, which keeps the types of the database.

    :raises PushMetricsConfigurationError: without the extra ``arrow``.
    """
    import_extra("pyarrow", "arrow")
    ipc = importlib.import_module("pyarrow.ipc")
    with io.BufferedReader(_ChunkFile(chunks)) as file, ipc.open_stream(file) as reader:
        table: pyarrow.Table = reader.read_all()
        return table


def build_pandas(table: pyarrow.Table, **options: Any) -> pandas.DataFrame:
    """
    Build a pandas data frame from a table.

    Integers with missing values stay integers (``Int64``, and Python's in lists). What pandas cannot
    hold is text: see :mod:`~airflow_provider_pushmetrics.hooks.portable`. ``types_mapper`` overrides that.

    :raises PushMetricsConfigurationError: without the extra ``pandas``.
    """
    find_type = import_extra("pandas", "pandas").api.types.pandas_dtype
    if "types_mapper" not in options:
        table = make_portable(table)
        kinds = {str(column.type): column.type for column in table.columns if column.null_count}
        nullable = {kinds[name]: find_type(dtype) for name, dtype in NULLABLE.items() if name in kinds}
        options["types_mapper"] = nullable.get
        # From lists with missing integers, pandas would build arrays of floats.
        options.setdefault("integer_object_nulls", True)
    frame: pandas.DataFrame = table.to_pandas(**options)
    return frame


def build_polars(table: pyarrow.Table) -> polars.DataFrame:
    """
    Build a polars data frame from a table; what polars cannot hold is text.

    :raises PushMetricsConfigurationError: without the extra ``polars``.
    """
    frame: polars.DataFrame = import_extra("polars", "polars").from_arrow(
        make_portable(table, max_digits=MAX_PORTABLE_DIGITS)
    )
    return frame


def import_extra(module: str, extra: str) -> Any:
    """
    Import a module that is installed only with an extra of this package.

    :raises PushMetricsConfigurationError: with the extra, if it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise PushMetricsConfigurationError(
            f"{module} is not installed: install airflow-provider-pushmetrics[{extra}]."
        ) from None


class _ChunkFile(io.RawIOBase):
    """A readable file made from pieces of bytes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._chunks, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
