"""Signatures as others make and check them: the packages of Standard Webhooks and of Svix, both ways."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import svix.webhooks
from standardwebhooks.webhooks import Webhook as StandardWebhook
from standardwebhooks.webhooks import WebhookVerificationError

from airflow_provider_pushmetrics.receiver.endpoints.authentication import SenderAuthenticator
from airflow_provider_pushmetrics.receiver.endpoints.request_head import read_head
from airflow_provider_pushmetrics.receiver.errors import Unauthorized
from airflow_provider_pushmetrics.receiver.settings import SourceSettings
from airflow_provider_pushmetrics.signatures import decode_secret, generate_secret, sign

SECRET = generate_secret()
BODY = '{"event": "report.run", "report_name": "Umsätze €"}'
MESSAGE_ID = "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"
PACKAGES: list[Callable[[str], Any]] = [StandardWebhook, svix.webhooks.Webhook]
REFUSALS = (WebhookVerificationError, svix.webhooks.WebhookVerificationError)
GATE = SenderAuthenticator([SourceSettings("signed", signing_secrets=(generate_secret(), SECRET))])


def build_headers(signature: str, now: datetime) -> dict[str, str]:
    return {
        "webhook-id": MESSAGE_ID,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }


def authenticate(headers: dict[str, str], body: str = BODY) -> str | None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return GATE.authenticate("signed", read_head({"headers": raw}), body.encode())


@pytest.mark.parametrize("package", PACKAGES, ids=["standardwebhooks", "svix"])
def test_what_they_sign_is_admitted(package: Callable[[str], Any]) -> None:
    now = datetime.now(UTC)
    headers = build_headers(package(SECRET).sign(MESSAGE_ID, now, BODY), now)
    assert authenticate(headers) == MESSAGE_ID
    with pytest.raises(Unauthorized):
        authenticate(headers, BODY + " ")


@pytest.mark.parametrize("package", PACKAGES, ids=["standardwebhooks", "svix"])
def test_what_we_sign_they_take(package: Callable[[str], Any]) -> None:
    now = datetime.now(UTC)
    signature = sign(decode_secret(SECRET), MESSAGE_ID, int(now.timestamp()), BODY.encode())
    headers = build_headers(signature, now)
    package(SECRET).verify(BODY, headers)
    with pytest.raises(REFUSALS):
        package(generate_secret()).verify(BODY, headers)
