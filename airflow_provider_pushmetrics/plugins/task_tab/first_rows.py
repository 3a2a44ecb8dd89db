"""The first rows of a query's result, without reading the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_pushmetrics.client import calls
from airflow_provider_pushmetrics.client.credentials import Credentials
from airflow_provider_pushmetrics.client.errors import refuse_failed_result
from airflow_provider_pushmetrics.client.outcomes import GOING_ON, NDJSON_TYPE
from airflow_provider_pushmetrics.client.protocol import Call, Request, Response
from airflow_provider_pushmetrics.client.retry_policy import ONE_ATTEMPT
from airflow_provider_pushmetrics.exceptions import PushMetricsApiError, PushMetricsProtocolError
from airflow_provider_pushmetrics.hooks.results import read_truncation

FIRST_ROWS = 20
HEAD_BYTES = 256 * 1024
MAX_TAB_CELL_CHARACTERS = 300
MAX_TAB_COLUMNS = 100


class Digits(str):
    """A number as the API wrote it: a float would round it."""


@dataclass(frozen=True)
class ResultHead:
    """
    The beginning of a result; the whole result as JSON if the server writes no NDJSON.

    :param request: What it answers, for messages.
    """

    request: Request
    response: Response

    def read(self) -> dict[str, Any]:
        """
        Read the first rows, as texts. A result of some MiB takes long: not for an event loop.

        :raises PushMetricsApiError: if it is not readable.
        :raises PushMetricsRunFailed: if the query failed.
        """
        if _read_type(self.response) == NDJSON_TYPE:
            rows, is_whole = parse_lines(self.request, self.response.body)
        else:
            rows, is_whole = _parse_json(self.request, self.response), True
        truncation = read_truncation(self.response)
        return {
            **build_table(rows[:FIRST_ROWS]),
            "has_more": len(rows) > FIRST_ROWS or not is_whole,
            "is_truncated": truncation.is_truncated,
            "row_limit": truncation.row_limit,
        }


def fetch_head(credentials: Credentials, url: str) -> Call[ResultHead]:
    """
    Fetch the beginning of a result; its size is limited here, or by the transport if it is JSON.

    :raises PushMetricsApiError: if there is no result.
    """
    request = Request("GET", url, headers={"Accept": NDJSON_TYPE}, head_bytes=HEAD_BYTES)
    try:
        response = yield from calls.send_authorized(credentials, request, ONE_ATTEMPT)
    except PushMetricsApiError as error:
        if error.status_code != 406:
            raise
        response = None
    if response is None or (response.status_code != GOING_ON and _read_type(response) != NDJSON_TYPE):
        request = replace(request, headers={"Accept": calls.JSON_TYPE}, head_bytes=None)
        response = yield from calls.send_authorized(credentials, request, ONE_ATTEMPT)
    if response.status_code == GOING_ON:
        raise PushMetricsProtocolError(f"{request.describe()} has no result yet: its run has not ended.")
    return ResultHead(request, response)


def parse_lines(request: Request, body: bytes) -> tuple[list[Mapping[str, Any]], bool]:
    """
    Parse the beginning of NDJSON; return its rows, and whether they are all.

    :raises PushMetricsProtocolError: if it is no NDJSON, or not even one row is in it.
    """
    *lines, last = body.split(b"\n")
    is_whole = len(body) < HEAD_BYTES
    if is_whole:
        lines.append(last)
    rows = [_parse_row(request, line) for line in lines[: FIRST_ROWS + 1] if line.strip()]
    if not rows and not is_whole:
        raise PushMetricsProtocolError(
            f"the first row of {request.describe()} has more than {HEAD_BYTES:,} bytes: open the run."
        )
    return rows, is_whole


def _parse_row(request: Request, line: bytes) -> Mapping[str, Any]:
    try:
        row = json.loads(line, parse_float=Digits, parse_int=Digits)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        raise PushMetricsProtocolError(f"{request.describe()} was answered with a line that is no row.")
    return row


def _parse_json(request: Request, response: Response) -> list[Mapping[str, Any]]:
    result = _parse_row(request, response.body)
    refuse_failed_result(request, result)
    rows = result.get("data")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise PushMetricsProtocolError(f"{request.describe()} has no list of rows in 'data'.")
    return rows


def _read_type(response: Response) -> str:
    return response.headers.get("content-type", "").partition(";")[0].strip().lower()


def build_table(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Build a table of texts; a column is a number's if all its values are."""
    names = list(dict.fromkeys(name for row in rows for name in row))[:MAX_TAB_COLUMNS]
    columns = []
    for name in names:
        values = [row.get(name) for row in rows]
        is_number = any(value is not None for value in values)
        is_number = is_number and all(value is None or isinstance(value, Digits) for value in values)
        columns.append({"name": name, "is_number": is_number})
    return {
        "columns": columns,
        "rows": [[write_cell(row.get(name)) for name in names] for row in rows],
    }


def write_cell(value: Any) -> str | None:
    """Write a value as text, as the API wrote it; None for null."""
    if value is None:
        return None
    text = value if isinstance(value, str) else _write(value)
    if len(text) <= MAX_TAB_CELL_CHARACTERS:
        return text
    return f"{text[:MAX_TAB_CELL_CHARACTERS]}… ({len(text):,} characters)"


def _write(value: Any) -> str:
    if isinstance(value, Digits):
        return value
    if isinstance(value, list):
        return f"[{', '.join(map(_write, value))}]"
    if isinstance(value, dict):
        pairs = (f"{json.dumps(name, ensure_ascii=False)}: {_write(one)}" for name, one in value.items())
        return f"{{{', '.join(pairs)}}}"
    return json.dumps(value, ensure_ascii=False)
