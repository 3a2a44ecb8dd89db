"""What a Dag needs to know of a report: its parameters and its queries, as the API shows them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_pushmetrics.client import reports
from airflow_provider_pushmetrics.client.calls import build_get, quote_report_id, send_authorized
from airflow_provider_pushmetrics.client.credentials import Credentials
from airflow_provider_pushmetrics.client.models import ReportBlock
from airflow_provider_pushmetrics.client.protocol import Call
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsApiError,
    PushMetricsAuthError,
    PushMetricsNotFoundError,
    PushMetricsProtocolError,
    PushMetricsUnavailableError,
)

ANY = "any"
KINDS = (ANY, "text", "integer", "number", "boolean", "date", "timestamp")
MAX_VALUE_DEPTH = 50
"""Python's parser and the values of Airflow end somewhat above."""


@dataclass(frozen=True)
class ReportParameter:
    """
    A Parameter block.

    :param kind: One of ``KINDS``; ``any`` also if the server does not say.
    :param default: Its default, a value of JSON.
    :param choices: The allowed values; None for any, or if the server does not list all of them.
    :param examples: Some of the allowed values, if they come from a query.
    :param query: The query that gives the choices.
    """

    name: str
    kind: str = ANY
    default: Any = None
    is_multiple: bool = False
    is_required: bool = False
    choices: tuple[Any, ...] | None = None
    examples: tuple[Any, ...] = ()
    query: str | None = None
    title: str | None = None


@dataclass(frozen=True)
class ReportFacts:
    """
    A report, as a Dag uses it.

    :param id: Its number.
    :param queries: The names of its queries.
    :param query_ids: The ids of its queries, where the server lists them.
    :param has_all_query_ids: Whether the server lists the id of every query.
    """

    id: int
    name: str
    parameters: tuple[ReportParameter, ...] = ()
    queries: tuple[str, ...] = ()
    query_ids: tuple[int, ...] = ()
    has_all_query_ids: bool = True


def fetch_facts(credentials: Credentials, report_id: str) -> Call[ReportFacts]:
    """
    Fetch a report with its parameters and the names of its queries.

    :raises PushMetricsProtocolError: if the server does not list the blocks of the report.
    """
    report = yield from reports.fetch_report(credentials, report_id)
    if report.blocks is None:
        raise PushMetricsProtocolError(
            f"PushMetrics does not list the blocks of report {report_id!r}, so its parameters are unknown."
        )
    parameters = []
    for block in report.blocks:
        if block.type == "parameter" and block.name:
            parameters.append((yield from _fetch_parameter(credentials, block)))
    queries = [block for block in report.blocks if block.type == "sql"]
    ids = [(block.model_extra or {}).get("query_id") for block in queries]
    return ReportFacts(
        report.id,
        report.name or "",
        tuple(parameters),
        tuple(str(block.name) for block in queries if block.name),
        tuple(one for one in ids if isinstance(one, int)),
        all(isinstance(one, int) for one in ids),
    )


def _fetch_parameter(credentials: Credentials, block: ReportBlock) -> Call[ReportParameter]:
    name, uid = str(block.name), (block.model_extra or {}).get("uid")
    row = yield from _fetch_block(credentials, name, uid)
    content = parse_content(name, row.get("content_json") if isinstance(row, Mapping) else None)
    title = row.get("verbose_name") if isinstance(row, Mapping) else None
    choices, query = content.get("choices"), None
    examples: list[Any] = []
    if isinstance(choices, Mapping):
        query = str(choices.get("query"))
        choices, examples = yield from _fetch_choices(credentials, str(uid))
    given = content.get("type")
    kind = given if isinstance(given, str) and given in KINDS else ANY
    is_multiple = content.get("multiple") is True
    return ReportParameter(
        name,
        kind,
        split_value(kind, content.get("default"), is_multiple=is_multiple),
        is_multiple,
        content.get("required") is True,
        tuple(choices) if isinstance(choices, list) and choices else None,
        tuple(examples),
        query,
        title if isinstance(title, str) and title else None,
    )


def _fetch_block(credentials: Credentials, name: str, uid: object) -> Call[Any]:
    """
    Fetch a block of a report that exists.

    :raises PushMetricsProtocolError: also if there is no such block: that says nothing of the report.
    """
    if uid is None:
        raise PushMetricsProtocolError(
            f"PushMetrics does not return the uid of the Parameter block {name!r}."
        )
    request = build_get(f"{credentials.base_url}/api/v1/block/{quote_report_id(str(uid))}")
    try:
        answer = (yield from send_authorized(credentials, request)).parse_object(request)
    except PushMetricsNotFoundError as error:
        raise PushMetricsProtocolError(f"the Parameter block {name!r} cannot be read: {error}") from None
    return answer.get("result", answer)


def _fetch_choices(credentials: Credentials, uid: str) -> Call[tuple[list[Any] | None, list[Any]]]:
    """Fetch the choices of a query: all of them, or None and some of them; a server may not know the path."""
    request = build_get(f"{credentials.base_url}/api/v1/block/{quote_report_id(uid)}/choices")
    try:
        answer = (yield from send_authorized(credentials, request)).parse_object(request)
    except (PushMetricsAuthError, PushMetricsUnavailableError):
        raise
    except PushMetricsApiError:
        return None, []
    values = answer.get("result")
    if not isinstance(values, list) or measure_depth(values) > MAX_VALUE_DEPTH:
        return None, []
    return (values, []) if answer.get("is_complete") is True else (None, values)


def split_value(kind: str, value: Any, *, is_multiple: bool) -> Any:
    """
    Read a value as PushMetrics does before it converts it: a blank text is none, and one may be a list.

    :param is_multiple: Whether the parameter is a list: JSON, or values separated by commas.
    """
    if isinstance(value, str) and not value.strip() and (is_multiple or kind not in (ANY, "text")):
        return None
    if not is_multiple or value is None or isinstance(value, list):
        return value
    if not isinstance(value, str):
        return [value]
    if value.lstrip().startswith("["):
        try:
            items = json.loads(value, parse_constant=_refuse, parse_float=_parse_float)
        except (ValueError, RecursionError):
            items = None
        if isinstance(items, list) and measure_depth(items) <= MAX_VALUE_DEPTH:
            return items
    return [part.strip() for part in value.split(",")]


def parse_content(name: str, text: object) -> dict[str, Any]:
    """
    Parse the content of a Parameter block.

    :raises PushMetricsProtocolError: if it is no JSON object, nested too deeply, or has NaN or Infinity.
    """
    content = text
    if isinstance(text, str):
        try:
            content = json.loads(text, parse_constant=_refuse, parse_float=_parse_float)
        except (ValueError, RecursionError):
            content = None
    if not isinstance(content, dict) or measure_depth(content) > MAX_VALUE_DEPTH:
        raise PushMetricsProtocolError(
            f"the content of the Parameter block {name!r} must be a JSON object of at most"
            f" {MAX_VALUE_DEPTH} levels, without NaN and Infinity."
        )
    return content


def measure_depth(value: object) -> int:
    """Measure how deeply a value of JSON is nested, without recursion."""
    depth, level = 0, [value]
    while level and depth <= MAX_VALUE_DEPTH:
        depth += 1
        inner = [list(one.values()) if isinstance(one, dict) else one for one in level]
        level = [item for one in inner if isinstance(one, list) for item in one]
    return depth


def _refuse(word: str) -> float:
    raise ValueError(word)


def _parse_float(text: str) -> float:
    value = float(text)
    return value if value - value == 0 else _refuse(text)
