"""Parsing the parameters of readers: with limits, and with an error that names the parameter."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import QueryParams

from airflow_provider_pushmetrics.event_ids import MAX_ID
from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.receiver.errors import BadRequest

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
MAX_WAIT_SECONDS = 60.0
MAX_TEXT_LENGTH = 200
MAX_TAKER_LENGTH = 1000

_WHOLE_NUMBER = re.compile(r"[0-9]{1,19}\Z", re.ASCII)
_CONSUMER_NAME = re.compile(r"[A-Za-z0-9._:~@+-]{1,200}\Z", re.ASCII)


@dataclass(frozen=True)
class FeedQuery:
    """The parameters of ``GET /events``."""

    wanted: EventFilter
    after: int
    limit: int
    wait_seconds: float


def parse_feed_query(query: QueryParams) -> FeedQuery:
    """
    Parse the parameters of ``GET /events``; ignore empty ones, and reduce values above a limit to it.

    :raises BadRequest: for an invalid value.
    """
    limit = _parse_number(query, "limit")
    return FeedQuery(
        wanted=EventFilter(
            source=_parse_text(query, "source"),
            event=_parse_text(query, "event"),
            report_id=_parse_number(query, "report_id"),
            query_id=_parse_number(query, "query_id"),
            run_id=_parse_number(query, "run_id"),
        ),
        after=_parse_number(query, "after") or 0,
        limit=DEFAULT_LIMIT if limit is None else max(1, min(limit, MAX_LIMIT)),
        wait_seconds=_parse_wait(query.get("wait", "")),
    )


def parse_through(query: QueryParams) -> int:
    """
    Parse ``through``, the last id of a range.

    :raises BadRequest: if it is missing or invalid: a range without an end would include its own replays.
    """
    through = _parse_number(query, "through")
    if through is None:
        raise BadRequest("'through' must name the last event of the range.")
    return through


def parse_before(query: QueryParams) -> int | None:
    """
    Parse ``before``, the id before which a page of older events ends.

    :raises BadRequest: if it is invalid.
    """
    return _parse_number(query, "before")


def parse_event_id(text: str) -> int:
    """
    Parse the id of an event in a path.

    :raises BadRequest: if it is none.
    """
    return _parse_whole_number("id", text)


def parse_consumer_name(text: str) -> str:
    """
    Parse the name of a consumer in a path.

    :raises BadRequest: if it is none.
    """
    if not _CONSUMER_NAME.match(text):
        raise BadRequest("A consumer's name must be 1 to 200 of the characters A-Z a-z 0-9 . _ : ~ @ + -.")
    return text


@dataclass(frozen=True)
class PositionChange:
    """
    A request to move a named consumer.

    :param taken_by: Who claims the event there.
    :param only_forwards: Whether it must not move backwards.
    """

    position: int
    taken_by: str | None = None
    only_forwards: bool = False


def parse_position(body: bytes) -> PositionChange:
    """
    Parse ``{"position": 17}`` and the optional ``"taken_by"`` and ``"only_forwards"``.

    :raises BadRequest: for anything else.
    """
    try:
        content: Any = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        content = None
    position = content.get("position") if isinstance(content, dict) else None
    if not isinstance(position, int) or isinstance(position, bool) or not 0 <= position <= MAX_ID:
        raise BadRequest('The body must be JSON such as {"position": 17}, with the id of an event.')
    taken_by = content.get("taken_by")
    if taken_by is not None and not _is_taker(taken_by):
        raise BadRequest(f"'taken_by' must be at most {MAX_TAKER_LENGTH} printable characters.")
    only_forwards = content.get("only_forwards", False)
    if not isinstance(only_forwards, bool):
        raise BadRequest("'only_forwards' must be true or false.")
    return PositionChange(position, taken_by, only_forwards)


def _is_taker(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TAKER_LENGTH and value.isprintable()


def _parse_number(query: QueryParams, name: str) -> int | None:
    text = query.get(name, "")
    return _parse_whole_number(name, text) if text else None


def _parse_whole_number(name: str, text: str) -> int:
    if not _WHOLE_NUMBER.match(text) or int(text) > MAX_ID:
        raise BadRequest(f"{name!r} must be a whole number from 0 up.")
    return int(text)


def _parse_text(query: QueryParams, name: str) -> str | None:
    text = query.get(name, "")
    if len(text) > MAX_TEXT_LENGTH or (text and not text.isprintable()):
        raise BadRequest(f"{name!r} must be at most {MAX_TEXT_LENGTH} printable characters.")
    return text or None


def _parse_wait(text: str) -> float:
    try:
        wait_seconds = float(text or 0)
    except ValueError:
        wait_seconds = math.nan
    if not wait_seconds >= 0:  # not for nan
        raise BadRequest("'wait' must be a number of seconds from 0 up.")
    return min(wait_seconds, MAX_WAIT_SECONDS)
