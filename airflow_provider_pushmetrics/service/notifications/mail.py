"""Mail: composing it, and handing it to an SMTP server."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

import aiosmtplib

from airflow_provider_pushmetrics.exceptions import (
    NotificationDelayedError,
    NotificationError,
    NotificationRefusedError,
)
from airflow_provider_pushmetrics.redaction import redact
from airflow_provider_pushmetrics.service.notifications.recipients import check_recipient
from airflow_provider_pushmetrics.service.notifications.settings import (
    DEFAULT_PORTS,
    SMTP_PREFIX,
    Security,
    SmtpSettings,
)
from airflow_provider_pushmetrics.service.notifications.texts import NoticeText


@dataclass(frozen=True)
class MailFile:
    """A file that goes with a mail."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True)
class Mail:
    """
    A mail to one person.

    :param uid: Tells it from all others; the same on every try, so that a mail server can know a repeat.
    :param recipient: The address.
    :param words: Subject and body.
    :param written_on: Its date.
    :param files: What goes with it.
    """

    uid: str
    recipient: str
    words: NoticeText
    written_on: datetime
    files: tuple[MailFile, ...] = ()


def compose(mail: Mail, sender: str) -> EmailMessage:
    """Write a mail as it travels: plain text, and the same as HTML, and its files."""
    name, address = parseaddr(sender)
    message = EmailMessage(policy=SMTP)
    message["From"] = Address(display_name=name, addr_spec=address)
    message["To"] = Address(addr_spec=check_recipient(mail.recipient))
    message["Subject"] = mail.words.subject
    message["Date"] = format_datetime(mail.written_on)
    message["Message-ID"] = f"<{mail.uid}@{address.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # no out-of-office replies: RFC 3834
    # Quoted-printable goes through servers that know neither 8BITMIME nor lines of any length.
    message.set_content(mail.words.text, cte="quoted-printable")
    message.add_alternative(mail.words.html, subtype="html", cte="quoted-printable")
    for file in mail.files:
        kind, _, subtype = file.media_type.partition("/")
        message.add_attachment(file.content, maintype=kind, subtype=subtype, filename=file.name)
    return message


class Mailer:
    """
    Sends mail.

    :param settings: The server.
    :param tls_context: Checks the server's certificate; by the authorities of the system, unless given.
    """

    def __init__(self, settings: SmtpSettings, *, tls_context: ssl.SSLContext | None = None) -> None:
        self._settings = settings
        self._tls_context = tls_context or ssl.create_default_context()

    async def send(self, mail: Mail) -> None:
        """
        Hand a mail to the server, in one conversation.

        :raises NotificationDelayedError: if it may work later.
        :raises NotificationRefusedError: if the server does not take it, now or later.
        """
        message = compose(mail, self._settings.sender)
        try:
            async with asyncio.timeout(self._settings.timeout_seconds * 2), self._connect() as server:
                await server.send_message(message)
        except (aiosmtplib.SMTPException, OSError) as error:
            raise self._classify(error, mail) from error

    def _connect(self) -> aiosmtplib.SMTP:
        settings = self._settings
        return aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port or DEFAULT_PORTS[settings.security],
            username=settings.user,
            password=settings.password,
            use_tls=settings.security is Security.TLS,
            start_tls=settings.security is Security.STARTTLS,
            tls_context=None if settings.security is Security.NONE else self._tls_context,
            timeout=settings.timeout_seconds,
        )

    def _classify(self, error: Exception, mail: Mail) -> NotificationError:
        code, said = _read_error(error)
        # A server may repeat what it was told, so what it says is redacted.
        said = redact(said, self._settings.password)
        what = f"the mail to {mail.recipient!r} was not taken by {self._settings.host!r}: {said}"
        if code is None or 400 <= code < 500:
            return NotificationDelayedError(f"{what}. It is tried again later.")
        return NotificationRefusedError(f"{what}. Check the address and the SMTP settings ({SMTP_PREFIX}…).")


def _read_error(error: Exception) -> tuple[int | None, str]:
    """Read the server's code and words; no code means that it may work later."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        error = error.recipients[0]  # there is only one
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return error.code, f"{error.code} {error.message}"
    text = str(error) or type(error).__name__
    if isinstance(error, aiosmtplib.SMTPNotSupported) or type(error) is aiosmtplib.SMTPException:
        return 500, text  # the server lacks what the settings ask for, such as STARTTLS
    return None, text
