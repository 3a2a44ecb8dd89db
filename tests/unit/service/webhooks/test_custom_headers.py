"""Headers of a subscription: which are accepted, and what is hidden of a URL."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.service.webhooks.custom_headers import (
    MAX_CUSTOM_HEADERS,
    check_headers,
    hide_path,
    list_secrets,
)


def test_headers_are_accepted_as_they_are() -> None:
    headers = {"Authorization": "Bearer abc", "X-Api-Key": "k\u00e9y=1;\t2", "Cookie": "a=b"}
    assert check_headers(headers) == headers


@pytest.mark.parametrize(
    "name",
    [
        "webhook-id", "Webhook-Signature", "WEBHOOK-OTHER", "Host", "content-length", "Content-Type",
        "traceparent", "Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Expect",
        "Proxy-Authorization", "Accept-Encoding", "User-Agent", "", "a b", "a:b", "a\r\nb", "a\n", "\u00e9",
        "x" * 101,
    ],
)  # fmt: skip
def test_names_of_the_protocol_and_what_is_no_name_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be set|is not the name of a header"):
        check_headers({name: "v"})


@pytest.mark.parametrize(
    "value", ["", "a\r\nHost: evil", "a\n", "a\x00", "a\x7f", "\u20ac", "\u4f60", " a", "a ", "x" * 4097]
)
def test_values_that_no_header_can_have_are_refused_without_being_shown(value: str) -> None:
    with pytest.raises(ValueError, match="the value of 'X-Key' must") as caught:
        check_headers({"X-Key": value})
    assert len(value) < 3 or value not in str(caught.value)


def test_too_many_and_equal_names_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 20"):
        check_headers({f"x-{number}": "v" for number in range(MAX_CUSTOM_HEADERS + 1)})
    with pytest.raises(ValueError, match="twice"):
        check_headers({"X-Key": "v", "x-key": "w"})


@given(st.dictionaries(st.text(), st.text(), max_size=3))
def test_whatever_is_accepted_is_one_line_of_latin_1(headers: dict[str, str]) -> None:
    try:
        accepted = check_headers(headers)
    except ValueError:
        return
    for name, value in accepted.items():
        line = name.encode("ascii") + value.encode("latin-1")
        assert not set(line) & {0, 10, 13}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example/hook?token=secret", "https://a.example/***"),
        ("https://a.example:8443/services/T0/secret", "https://a.example:8443/***"),
        ("https://a.example?token=secret", "https://a.example/***"),
        ("https://a.example/", "https://a.example"),
        ("https://a.example", "https://a.example"),
        ("http://[::1]:80/x#secret", "http://[::1]/***"),
        ("https://b\u00fccher.example/x", "https://xn--bcher-kva.example/***"),
    ],
)
def test_a_guest_sees_the_host_of_a_url_only(url: str, shown: str) -> None:
    assert hide_path(url) == shown


@pytest.mark.parametrize(
    ("url", "headers", "secrets"),
    [
        (
            "https://a.example/x?token=s%20t&n=1",
            {"Authorization": "Bearer abcdef"},
            {
                *("Bearer abcdef", "abcdef"),
                *("/x?token=s%20t&n=1", "/x?token=s t&n=1", "token=s%20t&n=1", "token=s t&n=1"),
                *("s%20t&n=1", "s t&n=1", "token=s%20t", "token=s t", "s%20t", "s t", "n=1", "1"),
            },
        ),
        (
            "https://a.example/x?part+one&long-name=",
            {},
            {
                *(
                    "/x?part+one&long-name=",
                    "part+one&long-name=",
                    "part one&long-name=",
                    "part+one&long-name",
                ),
                *("part one&long-name", "part+one", "part one", "long-name=", "long-name"),
            },
        ),
        (
            "https://a.example/services/T0/secret-in-a-path",
            {},
            {"services", "secret-in-a-path", "/services/T0/secret-in-a-path"},
        ),
        (
            "https://a.example",
            {"Cookie": "a=first; b=second"},
            {"a=first; b=second", "a=first", "first", "b=second", "second"},
        ),
        (
            "https://a.example",
            {"Authorization": "Basic dXNlcjpwYXNz"},
            {"Basic dXNlcjpwYXNz", "dXNlcjpwYXNz", "user:pass", "pass"},
        ),
    ],
)
def test_secrets_of_a_request_are_its_credentials_its_path_and_its_query(
    url: str, headers: dict[str, str], secrets: set[str]
) -> None:
    assert set(list_secrets(url, headers)) == secrets
