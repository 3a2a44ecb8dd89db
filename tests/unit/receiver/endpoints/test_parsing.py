from __future__ import annotations

import contextlib
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.receiver.endpoints.parsing import (
    check_content_type,
    parse_body,
    parse_webhook,
)
from airflow_provider_pushmetrics.receiver.errors import BadRequest, UnsupportedMediaType
from airflow_provider_pushmetrics.receiver.inbox.records import build_replay_key
from airflow_provider_pushmetrics.serving.json_bodies import MAX_DEPTH

REPORT_RUN = {
    "event": "report.run",
    "report_id": 1,
    "report_notebook_outputs": "http://laravel.test/api/reports/1/run/7",
    "queries": [],
}
QUERY_RUN = {
    "event": "query.run",
    "query_id": 3,
    "report_id": 1,
    "query_result": "http://laravel.test/api/reports/1/queries/3/run/2",
}


def deliver(content: Any, message_id: str | None = None) -> Any:
    return parse_webhook("demo", message_id, json.dumps(content).encode())


def test_report_run_is_indexed_by_what_it_is_about() -> None:
    delivery = deliver(REPORT_RUN)
    assert (delivery.event, delivery.report_id, delivery.query_id, delivery.run_id) == (
        "report.run",
        1,
        None,
        7,
    )


def test_query_run_is_indexed_by_what_it_is_about() -> None:
    delivery = deliver(QUERY_RUN)
    assert (delivery.event, delivery.report_id, delivery.query_id, delivery.run_id) == ("query.run", 1, 3, 2)


def test_unsigned_delivery_is_known_by_its_body() -> None:
    body = b'{"event": "report.run"}'
    assert parse_webhook("demo", None, body).key == f"sha256:{hashlib.sha256(body).hexdigest()}"


def test_signed_delivery_is_known_by_its_id_whatever_its_body() -> None:
    assert deliver(REPORT_RUN, "msg_1").key == deliver(QUERY_RUN, "msg_1").key == "id:msg_1"


def test_replays_have_different_keys() -> None:
    assert build_replay_key(7) != build_replay_key(7)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5),
        ("12", 12),
        (True, None),
        (-1, None),
        (2**63, None),
        (1.5, None),
        ("x", None),
        ([1], None),
        ("٣", None),
    ],
)
def test_report_id_that_is_no_id_is_kept_but_not_indexed(value: Any, expected: int | None) -> None:
    assert deliver({"event": "x", "report_id": value}).report_id == expected


@pytest.mark.parametrize(
    "url", ["not a url", "http://[", "http://x/api/reports/1/run/x", "/" * 9000, 7, None]
)
def test_url_without_a_run_gives_none(url: Any) -> None:
    assert deliver({**REPORT_RUN, "report_notebook_outputs": url}).run_id is None


def test_unknown_event_and_extra_fields_are_taken() -> None:
    assert parse_body(b'{"event": "dashboard.viewed", "extra": {"a": [1]}}')["extra"] == {"a": [1]}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"report.run"',
        b"{",
        b'{"event": "x"} {}',
        b'{"event": "x", "n": NaN}',
        b'{"event": "x", "n": -Infinity}',
        b'{"event": "x", "n": 1e400}',
        b'{"event": "x", "n": ' + b"9" * 5000 + b"}",
        b'{"event": "x", "n": [-' + b"9" * 5000 + b"]}",
        b'{"event": "x", "t": "\\ud800"}',
        b'{"event": "x", "\\udfff": 1}',
        b'{"event": "x", "t": "\x00"}',
        b'{"event": "x", "t": "\xff"}',
        b'\xef\xbb\xbf{"event": "x"}',
        '{"event": "x"}'.encode("utf-16"),
        b"[" * 100_000,
        b'{"event": "x", "a": ' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}",
        b'{"a": ' * 100_000,
        b"{}",
        b'{"event": null}',
        b'{"event": 1}',
        b'{"event": ""}',
        b'{"event": "a\\u0000b"}',
        b'{"event": "a\\nb"}',
        b'{"event": "' + b"x" * 201 + b'"}',
        b'{"event": "x", "event": 1}',
    ],
    ids=lambda body: repr(body[:30]),
)
def test_body_that_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest, match=r"\.$"):
        parse_body(body)


@pytest.mark.parametrize("number", [2**64, 10**19 * 2, -(2**63) - 1, 10**40])
def test_an_integer_beyond_64_bits_is_refused_with_the_way_out(number: int) -> None:
    for content in ({"n": number}, {"a": [{"n": number}]}, {"report_id": number}):
        with pytest.raises(
            BadRequest, match=r"^An integer in the body has more than 64 bits: send it as text\.$"
        ):
            deliver({"event": "x", **content})


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63), 10**18, 0])
def test_an_integer_of_64_bits_is_taken(number: int) -> None:
    assert parse_body(json.dumps({"event": "x", "n": number}).encode())["n"] == number


def test_digits_are_no_integer_where_they_are_text_or_a_fraction() -> None:
    body = b'{"event": "x", "t": "18446744073709551616", "f": 18446744073709551616.5, "e": 1e30}'
    assert parse_body(body) == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"event": "x", "t": "\\ud83d\\ude00"}',
        b'{"event": "x", "t": "\\u0000"}',
        b'{"event": "x", "t": "\\\\ud800"}',
        b'{"event": "x", "event": "y"}',
        b'{"event": "x", "a": ' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}",
        b'{"event": "x", "a": [' + b"[]," * 500 + b"[]]}",
        '{"event": "\u00e9v\u00e9nement"}'.encode(),
    ],
    ids=lambda body: repr(body[:40]),
)
def test_unusual_but_valid_body_is_taken(body: bytes) -> None:
    assert parse_body(body) == json.loads(body)


@given(st.binary())
def test_any_bytes_are_parsed_or_refused(body: bytes) -> None:
    with contextlib.suppress(BadRequest):
        parse_webhook("demo", None, body)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**64, -(2**63) - 1])
    | st.floats()
    | st.text(st.characters()),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


def list_integers(value: Any) -> list[int]:
    if isinstance(value, int):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [number for item in inner for number in list_integers(item)]


@given(
    st.dictionaries(
        st.sampled_from(["report_id", "query_id", "report_notebook_outputs", "query_result", "x"]), JSON
    ),
    st.text(st.characters()),
)
def test_whatever_is_taken_can_be_stored_and_read_again(fields: dict[str, Any], name: str) -> None:
    body = json.dumps({**fields, "event": name}).encode("utf-8", "surrogatepass")
    try:
        delivery = parse_webhook("demo", None, body)
    except BadRequest:
        return
    delivery.event.encode("utf-8")
    assert "\x00" not in delivery.event
    json.dumps(json.loads(delivery.body), ensure_ascii=False, allow_nan=False).encode("utf-8")
    assert all(-(2**63) <= number < 2**64 for number in list_integers(json.loads(delivery.body)))
    for number in (delivery.report_id, delivery.query_id, delivery.run_id):
        assert number is None or 0 <= number < 2**63


@pytest.mark.parametrize(
    "content_type",
    [b"", b"application/json", b"Application/JSON; charset=utf-8", b"application/cloudevents+json"],
)
def test_json_content_types_are_taken(content_type: bytes) -> None:
    check_content_type(content_type, b"")


@pytest.mark.parametrize(
    "content_type",
    [b"text/plain", b"application/x-www-form-urlencoded", b"application/json, text/plain", b"\xff"],
)
def test_other_content_types_are_refused(content_type: bytes) -> None:
    with pytest.raises(UnsupportedMediaType, match="application/json"):
        check_content_type(content_type, b"")


def test_compressed_body_is_refused() -> None:
    with pytest.raises(UnsupportedMediaType, match="Content-Encoding"):
        check_content_type(b"application/json", b"gzip")
