"""The part of the hook that reads query results."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_pushmetrics.client import calls
from airflow_provider_pushmetrics.client.credentials import Credentials
from airflow_provider_pushmetrics.client.outcomes import wait_until_ready
from airflow_provider_pushmetrics.client.protocol import Call, NetworkError, Request, T
from airflow_provider_pushmetrics.client.transports import SyncTransport
from airflow_provider_pushmetrics.compat import ObjectStoragePath
from airflow_provider_pushmetrics.exceptions import PushMetricsProtocolError, PushMetricsUnavailableError
from airflow_provider_pushmetrics.hooks import frames
from airflow_provider_pushmetrics.hooks.results import (
    Truncation,
    get_media_type,
    read_truncation,
    refuse_failed_query,
    refuse_other_format,
    save_chunks,
    show_chunks,
    split_rows,
)
from airflow_provider_pushmetrics.hooks.typed_rows import parse_exact, type_rows

if TYPE_CHECKING:
    from pathlib import Path

    import pandas
    import polars
    import pyarrow

RESULT_TIMEOUT_SECONDS = 300.0
"""How many seconds the methods wait by default for the result of an unfinished run."""


class ResultReader:
    """
    Reads query results, with the credentials and the transport of the hook.

    Each method waits for an unfinished run, 300 s by default, and raises ``PushMetricsUnavailableError``
    after that, ``PushMetricsProtocolError`` if the server returns another format than the requested one, and
    ``PushMetricsUntrustedUrlError`` if the API token must not be sent to the URL. The result of a failed
    query raises ``PushMetricsRunFailed`` in JSON, which the server answers with its status and no rows, and
    ``PushMetricsConflictError`` in other formats. PushMetrics documents only JSON; other formats need a
    server that has them, such as the reference service.
    """

    result_poll_seconds = 1.0
    """Seconds between polls for a result that is not ready."""

    @cached_property
    def credentials(self) -> Credentials:
        """The API token and where it may be sent."""
        raise NotImplementedError

    @cached_property
    def _transport(self) -> SyncTransport:
        raise NotImplementedError

    def fetch_query_result(
        self, url: str, *, timeout_seconds: float = RESULT_TIMEOUT_SECONDS
    ) -> dict[str, Any]:
        """
        Fetch a query's result as JSON: ``columns``, ``row_count`` and ``data``, a list of row objects.

        :param url: The ``query_result`` of an event.
        :param timeout_seconds: How long to wait for an unfinished run.
        :return: The result; all of it is in memory.
        """
        return self._wait_for_answer(lambda: calls.fetch_query_result(self.credentials, url), timeout_seconds)

    def fetch_rows(
        self, url: str, *, timeout_seconds: float = RESULT_TIMEOUT_SECONDS
    ) -> list[dict[str, Any]]:
        """
        Fetch the rows of a query's result, each a dictionary; for many rows, see :meth:`stream_rows`.

        Values have the type of their column: ``Decimal`` with all digits, ``date``, ``datetime``, ``time``,
        ``bytes``; values that Python cannot hold are ISO 8601 text. NaN and infinity are None. Inside lists,
        structs and maps, values have the types of JSON.

        :param url: The ``query_result`` of an event.
        :param timeout_seconds: How long to wait for an unfinished run.
        :return: The rows, in the order of the query.
        :raises PushMetricsProtocolError: if the result has no rows in ``data``.
        """
        result = self._wait_for_answer(
            lambda: calls.fetch_query_result(self.credentials, url, parse_float=Decimal), timeout_seconds
        )
        rows = type_rows(result)
        if rows is None:
            raise PushMetricsProtocolError(
                f"the result of {calls.build_get(url).describe()} has no list of rows in 'data'."
            )
        return rows

    def stream_rows(
        self, url: str, *, timeout_seconds: float = RESULT_TIMEOUT_SECONDS
    ) -> Iterator[dict[str, Any]]:
        """
        Fetch the rows of a query's result one after the other, however many there are.

        Values have JSON's types: dates are text. A number that a float would round is a
        ``Decimal``. It asks for NDJSON.

        :param url: The ``query_result`` of an event.
        :param timeout_seconds: How long to wait for an unfinished run.
        :return: The rows, in the order of the query.
        """
        with self.stream_query_result(url, "ndjson", timeout_seconds=timeout_seconds) as chunks:
            for line in split_rows(chunks):
                yield json.loads(line, parse_float=parse_exact)

    def fetch_arrow(self, url: str, *, timeout_seconds: float = RESULT_TIMEOUT_SECONDS) -> pyarrow.Table:
        """
        Fetch a query's result as an Arrow table; needs the extra ``arrow``.

        :param url: The ``query_result`` of an event.
        :param timeout_seconds: How long to wait for an unfinished run.
        :return: The table, with the types of the database.
        :raises PushMetricsMissingExtraError: if the extra is not installed.
        """
        frames.import_extra("pyarrow", "arrow")
        with self.stream_query_result(url, "arrow", timeout_seconds=timeout_seconds) as chunks:
            return frames.read_arrow(chunks)

    def fetch_pandas(
        self, url: str, *, timeout_seconds: float = RESULT_TIMEOUT_SECONDS, **options: Any
    ) -> pandas.DataFrame:
        """
        Fetch a query's result as a pandas data frame, by Arrow; needs the extra ``pandas``.

        :param url: The ``query_result`` of an event.
        :param timeout_seconds: How long to wait for an unfinished run.
        :param options: As ``pyarrow.Table.to_pandas`` accepts them, such as
            ``types_mapper=pandas.ArrowDtype``, which keeps integers with missing values as integers.
        :return: The data frame.
        :raises PushMetricsMissingExtraError: if the extra is not installed.
        """
        frames.import_extra("pandas", "pandas")
        return frames.build_pandas(self.fetch_arrow(url, timeout_seconds=timeout_seconds), **options)

    def fetch_polars(self, url: str, *, timeout_seconds: float = RESULT_TIMEOUT_SECONDS) -> polars.DataFrame:
        """
        Fetch a query's result as a polars data frame, by Arrow; needs the extra ``polars``.

        :param url: The ``query_result`` of an event.
        :param timeout_seconds: How long to wait for an unfinished run.
        :return: The data frame.
        :raises PushMetricsMissingExtraError: if the extra is not installed.
        """
        frames.import_extra("polars", "polars")
        return frames.build_polars(self.fetch_arrow(url, timeout_seconds=timeout_seconds))

    @contextmanager
    def stream_query_result(
        self,
        url: str,
        file_format: str,
        *,
        timeout_seconds: float = RESULT_TIMEOUT_SECONDS,
        observe_truncation: Callable[[Truncation], object] | None = None,
    ) -> Iterator[Iterator[bytes]]:
        """
        Open a query's result and read it in pieces, however large it is.

        :param url: The ``query_result`` of an event.
        :param file_format: One of json, ndjson, csv, arrow, parquet, xlsx.
        :param timeout_seconds: How long to wait for an unfinished run.
        :param observe_truncation: Called with whether the result is complete, before any of it is read.
        :return: The pieces, in a ``with`` statement.
        :raises PushMetricsParameterError: for an unknown format.
        """
        accept = get_media_type(file_format)
        deadline = time.monotonic() + timeout_seconds
        while True:
            with self._stream_result(url, accept, observe_truncation) as chunks:
                if chunks is not None:
                    yield chunks
                    return
            self._pause_until_ready(deadline, timeout_seconds)

    def save_query_result(
        self,
        url: str,
        path: str | Path | ObjectStoragePath,
        *,
        file_format: str | None = None,
        timeout_seconds: float = RESULT_TIMEOUT_SECONDS,
        observe: Callable[[bytes], object] | None = None,
        observe_truncation: Callable[[Truncation], object] | None = None,
    ) -> int:
        """
        Save a query's result to a file, in pieces, however large it is.

        The file appears only when it is complete.

        :param url: The ``query_result`` of an event.
        :param path: A local path or any URL that Airflow's object storage supports.
        :param file_format: One of json, ndjson, csv, arrow, parquet, xlsx; by default the extension of the
            path.
        :param timeout_seconds: How long to wait for an unfinished run.
        :param observe: Called with each piece before it is written, for example to compute a checksum.
        :param observe_truncation: Called with whether the result is complete, before any of it is written.
        :return: The size of the file in bytes.
        :raises PushMetricsParameterError: for an unknown format, also that of an extension.
        """
        target = path if isinstance(path, ObjectStoragePath) else ObjectStoragePath(str(path))
        file_format = file_format or target.suffix.removeprefix(".") or target.name
        with self.stream_query_result(
            url, file_format, timeout_seconds=timeout_seconds, observe_truncation=observe_truncation
        ) as chunks:
            return save_chunks(show_chunks(chunks, observe), target)

    @contextmanager
    def _stream_result(
        self, url: str, accept: str, observe_truncation: Callable[[Truncation], object] | None
    ) -> Iterator[Iterator[bytes] | None]:
        """Open a result with the API token, if it may be sent there; None while its run is unfinished."""
        request = Request("GET", url, headers={"Accept": accept}, is_streamed=True)
        call = calls.send_authorized(self.credentials, request)
        try:
            with self._transport.run_streaming(call) as (response, chunks):
                if response.status_code != 200:
                    yield None
                else:
                    refuse_other_format(request, response)
                    chunks = refuse_failed_query(request, chunks)
                    if observe_truncation is not None:
                        observe_truncation(read_truncation(response))
                    yield chunks
        except NetworkError as error:
            raise PushMetricsUnavailableError(f"{request.describe()} was interrupted: {error}") from None

    def _wait_for_answer(self, build_call: Callable[[], Call[T | None]], timeout_seconds: float) -> T:
        return self._transport.run(
            wait_until_ready(
                build_call, timeout_seconds=timeout_seconds, poll_seconds=self.result_poll_seconds
            )
        )

    def _pause_until_ready(self, deadline: float, timeout_seconds: float) -> None:
        if time.monotonic() >= deadline:
            raise PushMetricsUnavailableError(
                f"the run had not ended after {timeout_seconds:g} s, so there is nothing to fetch."
            )
        time.sleep(self.result_poll_seconds)
