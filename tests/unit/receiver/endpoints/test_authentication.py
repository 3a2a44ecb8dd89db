from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.receiver.endpoints.authentication import (
    ReaderAuthenticator,
    SenderAuthenticator,
)
from airflow_provider_pushmetrics.receiver.endpoints.request_head import RequestHead, read_head
from airflow_provider_pushmetrics.receiver.errors import Unauthorized
from airflow_provider_pushmetrics.receiver.settings import SourceSettings
from airflow_provider_pushmetrics.signatures import decode_secret, generate_secret, sign
from tests.unit.test_signatures import build_hostile

HOSTILE = json.loads((Path(__file__).parents[3] / "vectors" / "hostile_signatures.json").read_text())
GOLDEN = json.loads((Path(__file__).parents[3] / "vectors" / "standard_webhooks.json").read_text())
NOW = 1_700_000_000
BODY = b'{"event": "report.run"}'
TOKEN = "sender-token-\u00e9"
OLD_SECRET, NEW_SECRET = GOLDEN["secret"], generate_secret()

GATE = SenderAuthenticator(
    [
        SourceSettings("by-token", token=TOKEN),
        SourceSettings("by-signature", signing_secrets=(OLD_SECRET, NEW_SECRET)),
        SourceSettings("by-either", token=TOKEN, signing_secrets=(OLD_SECRET,)),
    ],
    clock=lambda: NOW,
)


def authenticate(
    source: str, headers: list[tuple[str, bytes]] | None = None, query: str = "", body: bytes = BODY
) -> Any:
    raw = [(name.encode(), value) for name, value in headers or []]
    head = read_head({"headers": raw, "query_string": query.encode()})
    return GATE.authenticate(source, head, body)


def basic(password: str, user: str = "anyone") -> tuple[str, bytes]:
    return ("authorization", b"Basic " + base64.b64encode(f"{user}:{password}".encode()))


def bearer(token: str) -> tuple[str, bytes]:
    return ("authorization", f"Bearer {token}".encode())


def signed(
    secret: str = OLD_SECRET, message_id: str = "msg_1", timestamp: int = NOW
) -> list[tuple[str, bytes]]:
    signature = sign(decode_secret(secret), message_id, timestamp, BODY)
    return [
        ("webhook-id", message_id.encode()),
        ("webhook-timestamp", str(timestamp).encode()),
        ("webhook-signature", signature.encode()),
    ]


class CountedBody:
    """A body that counts how often it is signed."""

    def __init__(self) -> None:
        self.signed = 0

    def __bytes__(self) -> bytes:
        self.signed += 1
        return BODY


@pytest.mark.parametrize("source", ["unknown", "by-token", "by-signature", "by-either"])
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (signed(generate_secret()), 2),
        ([*signed(generate_secret()), bearer("wrong")], 2),
        ([bearer("wrong")], 0),
    ],
)
def test_work_of_a_rejection_does_not_disclose_what_a_source_has(
    source: str, headers: list[tuple[str, bytes]], expected: int
) -> None:
    body: Any = CountedBody()
    with pytest.raises(Unauthorized):
        authenticate(source, headers, body=body)
    assert body.signed == expected


def test_correct_token_counts_beside_the_signature_of_another_scheme() -> None:
    assert authenticate("by-token", [*signed(generate_secret()), bearer(TOKEN)]) is None


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ([], "token=sender-token-%C3%A9"),
        ([bearer(TOKEN)], ""),
        ([("authorization", f"bearer  {TOKEN}".encode())], ""),
        ([basic(TOKEN)], ""),
        ([basic(TOKEN, user="")], ""),
        ([basic("of a proxy")], "token=sender-token-%C3%A9"),
        ([bearer("of a proxy"), bearer(TOKEN)], ""),
        ([bearer(TOKEN), bearer("of a proxy")], ""),
        ([bearer("of a proxy"), basic(TOKEN)], ""),
        ([bearer(TOKEN), bearer(TOKEN)], ""),
        ([bearer("wrong")], "token=sender-token-%C3%A9"),
    ],
)
def test_token_is_taken_wherever_it_may_stand(headers: list[tuple[str, bytes]], query: str) -> None:
    assert authenticate("by-token", headers, query) is None


@pytest.mark.parametrize("query", ["token=a+b/c=", "token=a%2Bb%2Fc%3D", "token=a+b%2Fc="])
def test_token_with_a_plus_is_taken_from_the_url_quoted_or_not(query: str) -> None:
    gate = SenderAuthenticator([SourceSettings("plus", token="a+b/c=")])
    assert gate.authenticate("plus", RequestHead({}, query.encode()), BODY) is None
    with pytest.raises(Unauthorized):
        gate.authenticate("plus", RequestHead({}, b"token=a%20b/c="), BODY)


def test_token_with_a_space_is_taken_as_a_form_writes_it() -> None:
    gate = SenderAuthenticator([SourceSettings("space", token="a b")])
    for query in (b"token=a+b", b"token=a%20b"):
        assert gate.authenticate("space", RequestHead({}, query), BODY) is None
    with pytest.raises(Unauthorized):
        gate.authenticate("space", RequestHead({}, b"token=a%2Bb"), BODY)


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ([], ""),
        ([], "token="),
        ([], "token=wrong"),
        ([], "token=sender-token-%C3%A9&token=sender-token-%C3%A9"),
        ([], "token=%FF%00"),
        ([bearer("")], ""),
        ([bearer("wrong")], ""),
        ([bearer("wrong"), basic("wrong")], ""),
        ([("authorization", b"Basic !!!")], ""),
        ([("authorization", b"Basic \xff")], ""),
        ([("authorization", b"Bearer " + b"x" * 5000)], ""),
        ([("authorization", TOKEN.encode())], ""),
        ([basic("wrong")], ""),
        (signed(), ""),
    ],
)
@pytest.mark.parametrize("source", ["by-token", "by-signature-only-later", "nobody", ""])
def test_every_fault_and_every_unknown_source_is_the_same_refusal(
    source: str, headers: list[tuple[str, bytes]], query: str
) -> None:
    with pytest.raises(Unauthorized) as refusal:
        authenticate(source, headers, query)
    assert str(refusal.value) == "The source is unknown, or its credential was refused."


@pytest.mark.parametrize("secret", [OLD_SECRET, NEW_SECRET], ids=["old", "new"])
def test_signature_by_any_valid_secret_gives_the_id(secret: str) -> None:
    assert authenticate("by-signature", signed(secret)) == "msg_1"


def test_token_is_no_proof_where_the_source_has_none() -> None:
    with pytest.raises(Unauthorized):
        authenticate("by-signature", [], "token=")


def test_source_with_both_takes_either() -> None:
    assert authenticate("by-either", signed()) == "msg_1"
    assert authenticate("by-either", [bearer(TOKEN)]) is None


def test_wrong_signature_is_not_saved_by_a_right_token() -> None:
    with pytest.raises(Unauthorized):
        authenticate("by-either", [*signed(generate_secret()), bearer(TOKEN)])


def test_signature_headers_of_a_source_without_secrets_prove_nothing_and_spoil_nothing() -> None:
    assert authenticate("by-token", [*signed(), bearer(TOKEN)]) is None


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_signature_header_that_stands_twice_is_refused(name: str) -> None:
    headers = signed()
    with pytest.raises(Unauthorized):
        authenticate("by-signature", [*headers, (name, dict(headers)[name])])


@pytest.mark.parametrize("case", HOSTILE, ids=[case["name"] for case in HOSTILE])
def test_hostile_signature_headers_are_refused(case: dict[str, Any]) -> None:
    hostile = build_hostile(case)
    headers = [
        ("webhook-id", hostile["message_id"]),
        ("webhook-timestamp", hostile["timestamp"]),
        ("webhook-signature", hostile["signatures"]),
    ]
    with pytest.raises(Unauthorized):
        authenticate("by-signature", headers, body=hostile["body"])


HEADER_NAMES = st.sampled_from(["authorization", "webhook-id", "webhook-timestamp", "webhook-signature", "x"])


@given(
    source=st.sampled_from(["by-token", "by-signature", "by-either", "other"]),
    headers=st.lists(st.tuples(HEADER_NAMES, st.binary(max_size=80)), max_size=6),
    query=st.text(max_size=40) | st.text(max_size=20).map(lambda text: f"token={text}"),
    body=st.binary(max_size=40),
)
def test_any_request_is_admitted_or_refused(
    source: str, headers: list[tuple[str, bytes]], query: str, body: bytes
) -> None:
    with contextlib.suppress(Unauthorized):
        authenticate(source, headers, query, body)


def test_reader_with_the_token_is_admitted() -> None:
    authenticate_reader([b"Bearer reader"])


@pytest.mark.parametrize(
    "others", [[b"Bearer wrong"], [b"Basic eDp5"], [b"", b"Bearer reade"], [b"x" * 5000]]
)
def test_reader_with_one_right_credential_among_several_is_admitted(others: list[bytes]) -> None:
    authenticate_reader([b"Bearer reader", *others])
    authenticate_reader([*others, b"Bearer reader"])
    with pytest.raises(Unauthorized):
        authenticate_reader(others)


def test_nobody_reads_with_an_empty_token() -> None:
    for values in ([], [b""], [b"Bearer "], [b"Bearer"]):
        with pytest.raises(Unauthorized):
            authenticate_reader(values, token="")


def authenticate_reader(values: list[bytes], token: str = "reader") -> None:
    headers = [(b"authorization", value) for value in values]
    ReaderAuthenticator(token).authenticate(read_head({"headers": headers, "query_string": b""}))


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer wrong", "reader", "Basic cmVhZGVyOnJlYWRlcg==", "Bearer reader x"]
)
def test_reader_without_it_is_refused(value: str) -> None:
    with pytest.raises(Unauthorized, match="reader token is missing or wrong"):
        authenticate_reader([value.encode()])


def test_reader_token_in_the_query_is_no_credential() -> None:
    with pytest.raises(Unauthorized):
        ReaderAuthenticator("reader").authenticate(RequestHead({}, b"token=reader"))


@pytest.mark.parametrize(
    ("source", "headers", "reason"),
    [
        ("elsewhere", signed(), "source"),
        ("by-signature", [], "missing"),
        ("by-signature", signed(timestamp=NOW - 301), "clock"),
        ("by-signature", signed(timestamp=NOW + 301), "clock"),
        ("by-signature", signed(generate_secret()), "credential"),
        ("by-token", [bearer("wrong")], "credential"),
        ("by-token", [], "missing"),
    ],
)
def test_reason_of_a_refusal_is_known_to_the_receiver_alone(
    source: str, headers: list[tuple[str, bytes]], reason: str
) -> None:
    with pytest.raises(Unauthorized) as refusal:
        authenticate(source, headers)
    assert refusal.value.reason == reason
    assert reason not in str(refusal.value).split()[0]


@pytest.mark.parametrize("offset", [-300, 300])
def test_timestamp_at_the_edge_is_taken(offset: int) -> None:
    assert authenticate("by-signature", signed(timestamp=NOW + offset)) == "msg_1"


def test_asymmetric_signature_alone_is_refused() -> None:
    headers = dict(signed())
    headers["webhook-signature"] = headers["webhook-signature"].replace(b"v1,", b"v1a,")
    with pytest.raises(Unauthorized):
        authenticate("by-signature", list(headers.items()))
