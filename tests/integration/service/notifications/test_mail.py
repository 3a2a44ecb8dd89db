"""Mail over real SMTP."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from dataclasses import replace
from email.utils import parseaddr
from pathlib import Path

import pytest

from airflow_provider_pushmetrics.exceptions import NotificationDelayedError, NotificationRefusedError
from airflow_provider_pushmetrics.service.notifications.mail import Mailer
from airflow_provider_pushmetrics.service.notifications.settings import (
    Security,
    SmtpSettings,
    read_smtp_settings,
)
from tests.fakes.certificates import make_tls
from tests.fakes.mail_server import DRIP_SECONDS, serve_dripping, serve_mail, serve_silence
from tests.fakes.notices import BROKEN, make_mail
from tests.fakes.service_process import find_free_port

Contexts = tuple[ssl.SSLContext, ssl.SSLContext]


def build_settings(port: int, security: Security = Security.NONE) -> SmtpSettings:
    sender = "Reports <reports@example.com>"
    return SmtpSettings("127.0.0.1", sender, port, security=security, timeout_seconds=60)


def with_login(settings: SmtpSettings, password: str = "pa55word") -> SmtpSettings:
    return replace(settings, user="reporter", password=password)


@pytest.fixture
def contexts(tmp_path: Path) -> Contexts:
    return make_tls(tmp_path, "127.0.0.1")


async def test_mail_arrives_as_it_was_written() -> None:
    mail = make_mail(notice=BROKEN)
    async with serve_mail() as server:
        await asyncio.to_thread(Mailer(build_settings(server.port)).send, mail)
    assert server.envelopes == [("reports@example.com", ["ann@example.com"])]
    taken = server.taken[0]
    assert taken["Subject"] == mail.words.subject
    assert taken["Message-ID"] == "<mail123@example.com>"
    text = taken.get_body(("plain",))
    assert text is not None
    assert text.get_content().splitlines() == mail.words.text.splitlines()


@pytest.mark.parametrize(
    "sender",
    ["Reports <reports@münchen.de>", "reports@münchen.de", "Berichte für München <reports@münchen.de>"],
)
async def test_sender_may_have_a_domain_with_any_letters(sender: str) -> None:
    """The server supports no SMTPUTF8, as many do not."""
    async with serve_mail() as server:
        settings = read_smtp_settings(
            {
                "PUSHMETRICS_SERVICE_SMTP_HOST": "127.0.0.1",
                "PUSHMETRICS_SERVICE_SMTP_PORT": str(server.port),
                "PUSHMETRICS_SERVICE_SMTP_SECURITY": "none",
                "PUSHMETRICS_SERVICE_SMTP_SENDER": sender,
            }
        )
        assert settings is not None
        await asyncio.to_thread(Mailer(settings).send, make_mail("Änne <ann@münchen.de>"))
    assert server.envelopes == [("reports@xn--mnchen-3ya.de", ["ann@xn--mnchen-3ya.de"])]
    (taken,) = server.taken
    assert taken["From"].addresses[0].addr_spec == "reports@xn--mnchen-3ya.de"
    assert taken["From"].addresses[0].display_name == parseaddr(sender)[0]
    assert taken["Message-ID"] == "<mail123@xn--mnchen-3ya.de>"


async def test_mail_goes_by_starttls_with_a_password(contexts: Contexts) -> None:
    async with serve_mail(starttls=contexts[0], asks_login=True) as server:
        settings = with_login(build_settings(server.port, Security.STARTTLS))
        await asyncio.to_thread(Mailer(settings, tls_context=contexts[1]).send, make_mail())
    assert server.logins == [("reporter", "pa55word")]
    assert server.encrypted == [True]


async def test_mail_goes_by_tls_from_the_first_byte(contexts: Contexts) -> None:
    async with serve_mail(tls=contexts[0]) as server:
        settings = build_settings(server.port, Security.TLS)
        await asyncio.to_thread(Mailer(settings, tls_context=contexts[1]).send, make_mail())
    assert server.encrypted == [True]


async def test_password_is_not_sent_to_a_server_without_starttls() -> None:
    async with serve_mail(asks_login=True) as server:
        settings = with_login(build_settings(server.port, Security.STARTTLS))
        with pytest.raises(NotificationRefusedError, match="STARTTLS"):
            await asyncio.to_thread(Mailer(settings).send, make_mail())
    assert server.logins == []
    assert server.taken == []


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
async def test_password_is_not_sent_to_a_server_that_is_not_trusted(
    contexts: Contexts, security: Security
) -> None:
    kind = {"starttls": contexts[0]} if security is Security.STARTTLS else {"tls": contexts[0]}
    async with serve_mail(**kind, asks_login=True) as server:
        with pytest.raises(NotificationDelayedError, match="certificate"):
            await asyncio.to_thread(
                Mailer(with_login(build_settings(server.port, security))).send, make_mail()
            )
    assert server.logins == []


@pytest.mark.parametrize(
    ("recipient_answer", "data_answer", "error"),
    [
        ("550 no such user", "", NotificationRefusedError),
        ("450 mailbox busy", "", NotificationDelayedError),
        (None, "554 looks like spam", NotificationRefusedError),
        (None, "452 disk full", NotificationDelayedError),
        (None, "421 closing", NotificationDelayedError),
    ],
)
async def test_refusal_says_whether_to_try_again(
    recipient_answer: str | None, data_answer: str, error: type[Exception]
) -> None:
    async with serve_mail() as server:
        server.recipient_answer, server.data_answer = recipient_answer, data_answer
        with pytest.raises(error, match=rf"'ann@example\.com' .*{recipient_answer or data_answer}"):
            await asyncio.to_thread(Mailer(build_settings(server.port)).send, make_mail())


async def test_wrong_password_is_refused_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serve_mail(asks_login=True) as server:
        settings = with_login(build_settings(server.port), "wr0ng-s3cret")
        with pytest.raises(NotificationRefusedError, match=r"535 .* Check the address") as caught:
            await asyncio.to_thread(Mailer(settings).send, make_mail())
    assert server.logins[0] == ("reporter", "wr0ng-s3cret")
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("mail.log")]
    assert "wr0ng-s3cret" not in str(caught.value) + "".join(ours)


async def test_server_that_is_not_there_may_be_later() -> None:
    with pytest.raises(NotificationDelayedError, match="tried again later"):
        await asyncio.to_thread(Mailer(build_settings(find_free_port())).send, make_mail())


async def test_server_that_says_nothing_is_not_waited_for_long() -> None:
    async with serve_silence() as port:
        settings = replace(build_settings(port), timeout_seconds=0.2)
        with pytest.raises(NotificationDelayedError, match="tried again later"):
            await asyncio.to_thread(Mailer(settings).send, make_mail())


@pytest.mark.parametrize("security", list(Security))
@pytest.mark.parametrize("greets", [False, True])
def test_server_that_sends_byte_by_byte_is_not_waited_for_long(
    contexts: Contexts, security: Security, greets: bool
) -> None:
    """Each read ends in time; the whole conversation never does."""
    with serve_dripping(greets=greets) as port:
        settings = replace(build_settings(port, security), timeout_seconds=0.5)
        began = time.monotonic()
        with pytest.raises(NotificationDelayedError, match="tried again later"):
            Mailer(settings, tls_context=contexts[1]).send(make_mail())
    assert time.monotonic() - began < DRIP_SECONDS / 2
