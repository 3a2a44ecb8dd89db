from __future__ import annotations

import pytest
from starlette.datastructures import QueryParams

from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.receiver.endpoints.query import (
    FeedQuery,
    PositionChange,
    parse_consumer_name,
    parse_event_id,
    parse_feed_query,
    parse_position,
)
from airflow_provider_pushmetrics.receiver.errors import BadRequest


def parse(query: str) -> FeedQuery:
    return parse_feed_query(QueryParams(query))


def test_nothing_asked_for_is_everything_from_the_beginning() -> None:
    assert parse("") == FeedQuery(EventFilter(), after=0, limit=100, wait_seconds=0)


def test_empty_parameters_are_not_asked_for() -> None:
    assert parse("after=&limit=&wait=&event=&report_id=&query_id=&run_id=&source=") == parse("")


def test_every_filter_is_read() -> None:
    query = parse("event=report.run&report_id=1&query_id=2&run_id=3&source=demo&after=4&limit=5&wait=6.5")
    assert query == FeedQuery(EventFilter("report.run", 1, 2, 3, "demo"), after=4, limit=5, wait_seconds=6.5)


def test_zero_is_a_filter() -> None:
    assert parse("report_id=0").wanted == EventFilter(report_id=0)


@pytest.mark.parametrize(("asked", "given"), [("0", 1), ("1000", 1000), ("100000", 1000)])
def test_limit_is_cut_to_what_is_allowed(asked: str, given: int) -> None:
    assert parse(f"limit={asked}").limit == given


@pytest.mark.parametrize("asked", ["90", "1e300", "inf"])
def test_wait_is_cut_to_a_minute(asked: str) -> None:
    assert parse(f"wait={asked}").wait_seconds == 60


@pytest.mark.parametrize("name", ["after", "limit", "report_id", "query_id", "run_id"])
@pytest.mark.parametrize("value", ["-1", "x", "1.5", "9" * 19, "9" * 5000, "٣", "1 "])
def test_number_that_is_none_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(BadRequest, match=f"'{name}' must be a whole number"):
        parse(f"{name}={value}")


@pytest.mark.parametrize("value", ["-1", "nan", "soon"])
def test_wait_that_is_no_length_of_time_is_refused(value: str) -> None:
    with pytest.raises(BadRequest, match="'wait' must be a number of seconds"):
        parse(f"wait={value}")


@pytest.mark.parametrize("value", ["x" * 201, "%00", "%0a"])
def test_text_that_no_event_can_have_is_refused(value: str) -> None:
    with pytest.raises(BadRequest, match="'event' must be at most 200"):
        parse(f"event={value}")


@pytest.mark.parametrize("name", ["airflow", "dag:a.b-c_d@host+1", "x" * 200])
def test_consumer_names(name: str) -> None:
    assert parse_consumer_name(name) == name


@pytest.mark.parametrize("name", ["", "a b", "a/b", "é", "x" * 201, "a\n"])
def test_other_consumer_names_are_refused(name: str) -> None:
    with pytest.raises(BadRequest, match="consumer's name"):
        parse_consumer_name(name)


def test_event_id_that_is_none_is_refused() -> None:
    with pytest.raises(BadRequest, match="'id' must be"):
        parse_event_id("first")


def test_position_is_read() -> None:
    assert parse_position(b'{"position": 17, "more": 1}') == PositionChange(17)


def test_who_took_the_event_may_stand_beside_its_position() -> None:
    assert parse_position(b'{"position": 17, "taken_by": "a_dag/a_run"}') == PositionChange(17, "a_dag/a_run")
    assert parse_position(b'{"position": 17, "taken_by": null}') == PositionChange(17)
    body = b'{"position": 17, "only_forwards": true}'
    assert parse_position(body) == PositionChange(17, only_forwards=True)


@pytest.mark.parametrize("taker", [b"7", b"[]", b'"a\\u0000b"', b'"\\ud800"', b'"%b"' % (b"a" * 1001)])
def test_a_taker_that_is_none_is_refused(taker: bytes) -> None:
    with pytest.raises(BadRequest, match="'taken_by' must be at most 1000 printable characters"):
        parse_position(b'{"position": 17, "taken_by": %b}' % taker)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"17",
        b"{}",
        b'{"position": "17"}',
        b'{"position": -1}',
        b'{"position": true}',
        b'{"position": 1.0}',
        b'{"position": 9223372036854775808}',
        b'{"position": \xff}',
        b"[" * 4000,
        b'{"position": NaN}',
    ],
)
def test_position_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest, match=r"such as .*position.*: 17"):
        parse_position(body)
