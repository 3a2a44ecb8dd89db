"""
The ids in an event: its report, its query and its run.

The receiver indexes events by them, and the triggers match events with them. Both use this module, so that
a wait matches exactly the events that the receiver's feed returns for the same filter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

MAX_ID = 2**63 - 1
"""The maximum of the inbox's columns."""

MAX_RESULT_URL_LENGTH = 8192

_ID_TEXT = re.compile(r"[0-9]{1,18}\Z", re.ASCII)
_IN_REPORT_URL = re.compile(r"/api/reports/[^/]+/(?:queries/[^/]+/reportRun|run)/(\d{1,18})/?\Z", re.ASCII)
_IN_QUERY_URL = re.compile(r"/api/reports/[^/]+/queries/[^/]+/run/(\d{1,18})/?\Z", re.ASCII)
_OUTPUTS_URL = re.compile(r"/api/reports/([^/]+)/run/(\d{1,18})/?\Z", re.ASCII)
_RESULT_URL = re.compile(r"/api/reports/([^/]+)/queries/([^/]+)/(?:reportRun|run)/(\d{1,18})/?\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class EventIds:
    """
    The ids in an event; None for a missing or invalid one.

    :param run_id: The report run if the event contains outputs, else the query run if it contains a result.
        The two have separate numbers.
    """

    report_id: int | None
    query_id: int | None
    run_id: int | None


@dataclass(frozen=True, slots=True)
class ResultIds:
    """The ids in the URL of a query's result, as written there."""

    report_id: str
    query_id: str
    run_id: str


def read_event_ids(body: Mapping[str, Any]) -> EventIds:
    """Read the ids of an event's body, which may be anything that its sender wrote."""
    return EventIds(read_id(body.get("report_id")), read_id(body.get("query_id")), _find_run_id(body))


def read_id(value: object) -> int | None:
    """Parse an id: a number from 0 to ``MAX_ID``, or text of 1 to 18 ASCII digits; None for all else."""
    if isinstance(value, str) and _ID_TEXT.match(value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_ID:
        return value
    return None


def find_report_run_id(url: str) -> int | None:
    """Find the id of a report run in the URL of its outputs or of one of its queries' results."""
    return _find_in_url(_IN_REPORT_URL, url)


def find_query_run_id(url: str) -> int | None:
    """Find the id of a query run in the URL of its result."""
    return _find_in_url(_IN_QUERY_URL, url)


def find_result_ids(url: str) -> ResultIds | None:
    """Find the ids in the URL of a query's result, of a report run or of a query run."""
    found = _search_path(_RESULT_URL, url)
    return ResultIds(*found.groups()) if found else None


def find_outputs_ids(url: str) -> tuple[str, int] | None:
    """Find the report, as written there, and the run in the URL of a report run's outputs."""
    found = _search_path(_OUTPUTS_URL, url)
    return (unquote(found[1]), int(found[2])) if found else None


def _find_run_id(body: Mapping[str, Any]) -> int | None:
    outputs = body.get("report_notebook_outputs")
    if isinstance(outputs, str):
        return find_report_run_id(outputs)
    result = body.get("query_result")
    return find_query_run_id(result) if isinstance(result, str) else None


def _find_in_url(pattern: re.Pattern[str], url: str) -> int | None:
    found = _search_path(pattern, url)
    return int(found[1]) if found else None


def _search_path(pattern: re.Pattern[str], url: str) -> re.Match[str] | None:
    """Search the end of the path without parsing the URL, which would cost as much as parsing the body."""
    if len(url) > MAX_RESULT_URL_LENGTH:
        return None
    return pattern.search(url.partition("#")[0].partition("?")[0])
