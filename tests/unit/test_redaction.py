from __future__ import annotations

import logging
import sys
from base64 import b64encode
from types import TracebackType
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.redaction import MIN_SECRET_LENGTH, REDACTED, RedactingFilter, redact

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLXZhbHVl"
PAT = "pmpat_AAAABBBBCCCCDDDDEEEEFFFFGGGGHHHHIIIIJJJJ"

url_safe_tokens = st.text(
    st.sampled_from("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"), min_size=16
)
base64_tokens = st.binary(min_size=12, max_size=40).map(lambda raw: b64encode(raw).decode())
any_secrets = st.text(st.characters(), min_size=6, max_size=40)
places = st.sampled_from(
    [
        "https://pushmetrics.io/api/v1/report/1/webhook?token={}",
        "https://pushmetrics.io/api/v1/report/1/webhook?date=2026-01-01&token={}&region=EMEA",
        "HTTPConnectionPool(host='h', port=80): Failed with url: /webhook?token={} (Caused by X)",
        "GET /webhook?TOKEN={} HTTP/1.1",
        "token={}",
        "'https://h/x?token={}'",
    ]
)


@given(places, url_safe_tokens | base64_tokens)
def test_the_token_of_a_url_is_taken_out_raw_and_quoted(place: str, token: str) -> None:
    for form in {token, quote(token, safe=""), quote_plus(token)}:
        assert form not in redact(place.format(form))


@given(any_secrets, st.text(st.characters(), max_size=20), st.text(st.characters(), max_size=20))
def test_a_known_secret_is_taken_out_wherever_it_stands(secret: str, before: str, after: str) -> None:
    assume(len(secret) >= MIN_SECRET_LENGTH)
    assume(secret not in REDACTED and REDACTED not in secret and secret not in before + after)
    forms = {secret}
    if not any("\ud800" <= character <= "\udfff" for character in secret):
        forms |= {quote(secret, safe=""), quote_plus(secret), urlencode({"q": secret})[2:]}
    for form in forms:
        assume(form not in f"{before}{REDACTED}{after}")
        assert form not in redact(f"{before}{form}{after}", secret)


def test_a_known_secret_is_taken_out_however_its_percent_signs_are_written() -> None:
    assert "a%2bb%2fc" not in redact("at /x/a%2bb%2fc", "a+b/c")


def test_a_secret_that_begins_like_another_is_taken_out_whole() -> None:
    assert redact("it was abcdef-tail", "abcdef", "abcdef-tail") == f"it was {REDACTED}"


@pytest.mark.parametrize("secret", ["a", "is", "or"])
def test_short_secret_leaves_the_words_of_a_message(secret: str) -> None:
    said = 'password authentication failed: relation "a" is no table or is not visible'
    assert redact(said, secret) == said


@pytest.mark.parametrize("secret", ["a", "p/", "é", "ab "])
@pytest.mark.parametrize(
    "place",
    [
        "cannot connect to postgresql://ann:{}@db/shop",
        "host=db password={} dbname=shop",
        "password='{}'",
        'bad option {{"Password": "{}"}}',
        "PWD={};Server=db",
        "CREATE USER ann IDENTIFIED BY '{}'",
        "wrong password '{}' given",
    ],
)
def test_short_secret_is_taken_out_where_a_password_is_written(place: str, secret: str) -> None:
    for form in (secret, quote(secret, safe="")):
        if "://" in place and form != quote(form, safe="%"):
            continue
        assert redact(place.format(form), secret) == redact(place.format(REDACTED), secret)


def test_short_secret_beside_a_long_one_does_not_hide_it() -> None:
    assert redact("x password=a hunter22", "a", "hunter22") == "x password=*** ***"


def test_no_secrets_change_nothing() -> None:
    assert redact("report 1 of 2", None, "") == "report 1 of 2"


@given(st.text(st.characters()), st.lists(st.text(st.characters()), max_size=3))
def test_redacting_never_fails(text: str, secrets: list[str]) -> None:
    assert isinstance(redact(text, *secrets), str)


@given(st.text(st.characters()))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"Authorization: Bearer {JWT}", JWT),
        ("authorization: bearer abcdef0123456789", "abcdef0123456789"),
        ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA=="),
        (f"token {PAT} was refused", PAT[6:]),
        (f"/path/{PAT}/x", PAT[6:]),
        ("signed with whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw.", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("signed with whsec_a+b/c==", "a+b/c=="),
        (f"got {JWT} back", JWT.split(".")[2]),
        (f"got {JWT} back", JWT.split(".")[1]),
        ("postgresql://user:pa55word@db/x", "pa55word"),
        ("http://user:p%40ss@proxy:3128", "p%40ss"),
        ("https://h/x?access_token=abc123", "abc123"),
        ("https://h/x?a=1&api_key=abc123", "abc123"),
        ("https://h/x?signature=abc123#top", "abc123"),
        ("https://h/x?secret=abc123", "abc123"),
    ],
)
def test_what_looks_like_a_credential_is_taken_out(text: str, secret: str) -> None:
    assert secret in text
    assert secret not in redact(text)
    assert REDACTED in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://pushmetrics.io/api/reports/1/queries/2/reportRun/3",
        "run 7 of report 'weekly_sales' failed at block 'revenue': division by zero",
        "the tokens of report 1",
        "basic idea",
        "mail ada@example.com",
        "2025-06-09T17:11:23+00:00",
    ],
)
def test_what_is_no_credential_stays_readable(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "unit",
    [
        *("-eyJ", "eyJ", "-eyJaaaaa", "eyJaaaaa.", "eyJ.", "_-eyJ"),
        *("Bearer ", "Bearer\t", "Basic a ", "pmpat_", "-whsec_", "://", "://a", "token=", "?token"),
        *("password ", "secret'", "identified by=", " ", "-", "a"),
    ],
)
def test_megabytes_that_almost_look_like_a_credential_are_read_in_linear_time(unit: str) -> None:
    """Quadratic time would be minutes."""
    assert redact(f"{unit * (1_000_000 // len(unit))} {PAT}", "s3").endswith(REDACTED)


@pytest.mark.parametrize("before", ["", "-", "x-", "a-b-", "a/", "eyJ.-"])
def test_json_web_token_is_taken_out_after_a_hyphen(before: str) -> None:
    assert redact(f"{before}{JWT}, and then") == f"{before}{REDACTED}, and then"


def test_the_rest_of_a_url_stays_readable() -> None:
    assert redact("https://h/x?a=1&token=t0ken&b=2") == f"https://h/x?a=1&token={REDACTED}&b=2"


def build_record(message: str, *arguments: Any, error: Exception | None = None) -> logging.LogRecord:
    trace: TracebackType | None = None
    if error is not None:
        try:
            raise error
        except type(error):
            trace = sys.exc_info()[2]
    exc_info = None if error is None else (type(error), error, trace)
    return logging.LogRecord("name", logging.INFO, __file__, 1, message, arguments, exc_info)


def format_filtered(record: logging.LogRecord) -> str:
    assert RedactingFilter().filter(record) is True
    return logging.Formatter("%(message)s").format(record)


def test_a_log_record_is_redacted_with_its_arguments() -> None:
    record = build_record("calling %s as %s", "https://h/x?token=t0ken-1", "Bearer abcdef123")
    assert format_filtered(record) == f"calling https://h/x?token={REDACTED} as Bearer {REDACTED}"


def test_a_log_record_is_redacted_with_its_traceback() -> None:
    record = build_record("it broke", error=ValueError("no answer from https://h/x?token=t0ken-1"))
    text = format_filtered(record)
    assert "t0ken-1" not in text
    assert "ValueError: no answer from https://h/x?token=***" in text


def test_a_handler_that_formats_the_exception_itself_finds_none_to_leak() -> None:
    record = build_record("it broke", error=ValueError("https://h/x?token=t0ken-1"))
    RedactingFilter().filter(record)
    assert record.exc_info is None


def test_a_log_record_is_redacted_with_its_stack() -> None:
    record = build_record("where am I")
    record.stack_info = "call('https://h/x?token=t0ken-1')"
    assert "t0ken-1" not in format_filtered(record)


def test_a_log_record_whose_arguments_do_not_fit_is_redacted_and_passed_on() -> None:
    record = build_record("%d runs at %s", "https://h/x?token=t0ken-1")
    text = format_filtered(record)
    assert "t0ken-1" not in text
    assert "%d runs at %s" in text


def test_a_percent_sign_in_a_message_is_no_placeholder() -> None:
    assert format_filtered(build_record("%s", "100 %s done")) == "100 %s done"
