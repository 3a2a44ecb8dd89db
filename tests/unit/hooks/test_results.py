from __future__ import annotations

import pytest

from airflow_provider_pushmetrics.client.protocol import Request, Response
from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError, PushMetricsProtocolError
from airflow_provider_pushmetrics.hooks.results import (
    FORMATS,
    get_media_type,
    refuse_other_format,
    split_rows,
)

REQUEST = Request("GET", "https://pushmetrics.io/r", headers={"Accept": FORMATS["csv"]})
ROWS = b'{"a": 1}\n{"b": "\xc3\xa9"}\n\n{"c": 3}'


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_rows_are_whole_wherever_the_pieces_begin(size: int) -> None:
    pieces = (ROWS[begin : begin + size] for begin in range(0, len(ROWS), size))
    assert list(split_rows(pieces)) == [b'{"a": 1}', b'{"b": "\xc3\xa9"}', b'{"c": 3}']


def test_nothing_has_no_rows() -> None:
    assert list(split_rows(iter(()))) == list(split_rows(iter((b"", b"\n")))) == []


@pytest.mark.parametrize("file_format", ["xls", "", "JSON"])
def test_a_format_that_there_is_not_is_refused_with_those_there_are(file_format: str) -> None:
    with pytest.raises(PushMetricsParameterError, match="json, ndjson, csv, arrow, parquet"):
        get_media_type(file_format)


@pytest.mark.parametrize("came", ["text/csv", "Text/CSV; charset=utf-8", "application/octet-stream", None])
def test_a_result_in_the_format_that_was_asked_for_is_taken(came: str | None) -> None:
    refuse_other_format(REQUEST, Response(200, {} if came is None else {"content-type": came}, b""))


@pytest.mark.parametrize("came", ["text/html", "application/json", ""])
def test_a_result_in_another_format_is_refused(came: str) -> None:
    with pytest.raises(PushMetricsProtocolError, match="instead of 'text/csv'"):
        refuse_other_format(REQUEST, Response(200, {"content-type": came}, b""))
