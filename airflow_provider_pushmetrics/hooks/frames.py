"""Results of queries as tables: Arrow, and the data frames that are made of it."""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow


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
    Make a pandas data frame of a table.

    :raises PushMetricsConfigurationError: without the extra ``pandas``.
    """
    import_extra("pandas", "pandas")
    frame: pandas.DataFrame = table.to_pandas(**options)
    return frame


def build_polars(table: pyarrow.Table) -> polars.DataFrame:
    """
    Make a polars data frame of a table.

    :raises PushMetricsConfigurationError: without the extra ``polars``.
    """
    frame: polars.DataFrame = import_extra("polars", "polars").from_arrow(table)
    return frame


def import_extra(module: str, extra: str) -> Any:
    """
    Import what is installed only with an extra of this package.

    :raises PushMetricsConfigurationError: naming the extra, if it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise PushMetricsConfigurationError(
            f"{module} is not installed: install airflow-provider-pushmetrics[{extra}]."
        ) from None


class _ChunkFile(io.RawIOBase):
    """Pieces of bytes as a file to read from."""

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
