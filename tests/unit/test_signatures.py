from __future__ import annotations

import contextlib
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from airflow_provider_pushmetrics.exceptions import InvalidSignatureError, PushMetricsConfigurationError
from airflow_provider_pushmetrics.signatures import (
    MAX_SIGNATURES,
    TOLERANCE_SECONDS,
    decode_secret,
    generate_secret,
    sign,
    verify,
)

VECTORS = Path(__file__).parent.parent / "vectors"
GOLDEN = json.loads((VECTORS / "standard_webhooks.json").read_text())
HOSTILE = json.loads((VECTORS / "hostile_signatures.json").read_text())
KEY = decode_secret(GOLDEN["secret"])
OTHER_KEY = b"another key of more than sixteen bytes"
NOW = 1_700_000_000
BODY = b'{"event": "report.run"}'


def check(
    signatures: str,
    *,
    keys: tuple[bytes, ...] = (KEY,),
    message_id: str = "msg_1",
    timestamp: int = NOW,
    body: bytes = BODY,
    now: float = NOW,
) -> str:
    return verify(
        keys,
        message_id=message_id.encode(),
        timestamp=str(timestamp).encode(),
        signatures=signatures.encode(),
        body=body,
        now=now,
    )


def test_golden_vector_is_signed_as_the_scheme_says_and_verified_and_gives_its_id() -> None:
    message_id, moment, body = GOLDEN["message_id"], GOLDEN["timestamp"], GOLDEN["body"].encode()
    assert sign(KEY, message_id, moment, body) == GOLDEN["signature"]
    checked = check(GOLDEN["signature"], message_id=message_id, timestamp=moment, body=body, now=moment)
    assert checked == message_id


@given(
    message_id=st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    body=st.text(st.characters(codec="utf-8")),
)
def test_public_library_signs_as_we_do(message_id: str, body: str) -> None:
    theirs = Webhook(GOLDEN["secret"]).sign(message_id, datetime.fromtimestamp(NOW, tz=UTC), body)
    assert sign(KEY, message_id, NOW, body.encode()) == theirs


@given(
    message_id=st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    name=st.text(st.characters(codec="utf-8")),
)
def test_public_library_accepts_what_we_sign(message_id: str, name: str) -> None:
    now, body = int(time.time()), json.dumps({"event": name})
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(now),
        "webhook-signature": sign(KEY, message_id, now, body.encode()),
    }
    assert Webhook(GOLDEN["secret"]).verify(body, headers) == {"event": name}


def test_delivery_signed_with_the_previous_key_is_accepted() -> None:
    assert check(sign(OTHER_KEY, "msg_1", NOW, BODY), keys=(KEY, OTHER_KEY)) == "msg_1"


def test_one_right_signature_among_several_is_enough() -> None:
    wrong = sign(b"x" * 16, "msg_1", NOW, BODY)
    assert check(f"v1a,abc {wrong} {sign(KEY, 'msg_1', NOW, BODY)}") == "msg_1"


def test_signatures_beyond_the_bound_are_not_looked_at() -> None:
    with pytest.raises(InvalidSignatureError, match="no signature"):
        check("v1,x " * MAX_SIGNATURES + sign(KEY, "msg_1", NOW, BODY))


@pytest.mark.parametrize("offset", [-TOLERANCE_SECONDS, 0, TOLERANCE_SECONDS])
def test_timestamp_within_the_tolerance_is_accepted(offset: int) -> None:
    assert check(sign(KEY, "msg_1", NOW, BODY), now=NOW + offset) == "msg_1"


@pytest.mark.parametrize("offset", [-TOLERANCE_SECONDS - 1, TOLERANCE_SECONDS + 1])
def test_replay_outside_the_tolerance_is_refused(offset: int) -> None:
    with pytest.raises(InvalidSignatureError, match="more than 300 s off"):
        check(sign(KEY, "msg_1", NOW, BODY), now=NOW + offset)


def test_swapped_body_is_refused() -> None:
    with pytest.raises(InvalidSignatureError, match="no signature"):
        check(sign(KEY, "msg_1", NOW, b'{"event": "report.deleted"}'))


def build_hostile(case: dict[str, Any]) -> dict[str, bytes]:
    good = sign(KEY, "msg_1", NOW, BODY)
    other = sign(OTHER_KEY, "msg_1", NOW, BODY)
    signatures = case["signatures"].format_map(
        {"good": good, "good_of_other_key": other, "good_digest": good.removeprefix("v1,")}
    )
    timestamp = (
        "9" * case["timestamp_digits"] if "timestamp_digits" in case else case.get("timestamp", str(NOW))
    )
    return {
        "message_id": case.get("message_id", "msg_1").encode(),
        "timestamp": timestamp.encode(),
        "signatures": signatures.encode(),
        "body": bytes.fromhex(case["body_hex"]) if "body_hex" in case else BODY,
    }


@pytest.mark.parametrize("case", HOSTILE, ids=[case["name"] for case in HOSTILE])
def test_hostile_headers_are_refused_by_our_one_error(case: dict[str, Any]) -> None:
    with pytest.raises(InvalidSignatureError):
        verify([KEY], **build_hostile(case), now=NOW)


def test_body_that_is_not_utf8_is_accepted_when_it_is_signed() -> None:
    assert check(sign(KEY, "msg_1", NOW, b"\xff"), body=b"\xff") == "msg_1"


@given(
    message_id=st.binary() | st.just(b"msg_1"),
    timestamp=st.binary()
    | st.integers().map(lambda number: str(number).encode())
    | st.just(str(NOW).encode()),
    signatures=st.binary() | st.text().map(lambda text: f"v1,{text}".encode()),
    body=st.binary(),
)
def test_nothing_but_our_error_is_raised(
    message_id: bytes, timestamp: bytes, signatures: bytes, body: bytes
) -> None:
    with contextlib.suppress(InvalidSignatureError):
        verify([KEY], message_id=message_id, timestamp=timestamp, signatures=signatures, body=body, now=NOW)


@given(st.text())
def test_secret_is_read_or_refused_without_showing_it(secret: str) -> None:
    try:
        decode_secret(secret)
    except PushMetricsConfigurationError as error:
        assert len(secret) < 12 or secret not in str(error)  # noqa: PT017 - both outcomes are right


def test_secret_may_lack_prefix_and_padding() -> None:
    secret = generate_secret()
    bare = secret.removeprefix("whsec_").rstrip("=")
    assert decode_secret(bare) == decode_secret(secret)


def test_generated_secrets_differ_and_hold_256_bits() -> None:
    first, second = generate_secret(), generate_secret()
    assert first != second
    assert len(decode_secret(first)) == 32
