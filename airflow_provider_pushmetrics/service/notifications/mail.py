"""Composing mail, and sending it to an SMTP server."""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Any

from airflow_provider_pushmetrics.exceptions import (
    NotificationDelayedError,
    NotificationError,
    NotificationRefusedError,
)
from airflow_provider_pushmetrics.redaction import redact
from airflow_provider_pushmetrics.service.notifications.mail_headers import (
    MAIL,
    encode_address,
    encode_subject,
)
from airflow_provider_pushmetrics.service.notifications.recipients import Recipient, check_address
from airflow_provider_pushmetrics.service.notifications.settings import DEFAULT_PORTS, Security, SmtpSettings
from airflow_provider_pushmetrics.service.notifications.texts import NoticeText


@dataclass(frozen=True)
class MailFile:
    """
    A file that is sent with a mail.

    :param content_id: The id by which the HTML refers to it, if it is a picture.
    """

    name: str
    media_type: str
    content: bytes
    content_id: str | None = None


@dataclass(frozen=True)
class Mail:
    """
    A mail to one recipient.

    :param uid: Its id, the same for every attempt, so that a mail server can detect a duplicate.
    :param words: Subject and body.
    :param written_on: Its date.
    """

    uid: str
    recipient: Recipient
    words: NoticeText
    written_on: datetime
    files: tuple[MailFile, ...] = ()


def compose(mail: Mail, sender: str) -> EmailMessage:
    """Build the message: plain text, HTML if there is any, and the files."""
    name, address = parseaddr(sender)
    address = check_address(address)  # in ASCII, as the server needs it
    message = EmailMessage(policy=MAIL)
    message["From"] = encode_address("From", name, address)
    message["To"] = encode_address("To", mail.recipient.name, mail.recipient.address)
    message["Subject"] = encode_subject(mail.words.subject)
    message["Date"] = format_datetime(mail.written_on)
    message["Message-ID"] = f"<{mail.uid}@{address.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # no out-of-office replies: RFC 3834
    # Quoted-printable works with servers that support neither 8BITMIME nor long lines.
    message.set_content(mail.words.text, cte="quoted-printable")
    if mail.words.html is not None:
        message.add_alternative(mail.words.html, subtype="html", cte="quoted-printable")
        _add_pictures(message.get_payload()[1], mail.files)  # type: ignore[index, arg-type]
    for file in mail.files:
        if file.content_id is None:
            kind, _, subtype = file.media_type.partition("/")
            message.add_attachment(file.content, maintype=kind, subtype=subtype, filename=file.name)
    return message


def _add_pictures(html: EmailMessage, files: tuple[MailFile, ...]) -> None:
    for file in files:
        if file.content_id is not None:
            kind, _, subtype = file.media_type.partition("/")
            html.add_related(
                file.content,
                maintype=kind,
                subtype=subtype,
                cid=f"<{file.content_id}>",
                filename=file.name,
                disposition="inline",
            )


class Mailer:
    """
    Sends mail.

    :param settings: The server.
    :param tls_context: Checks the server's certificate; by default with the authorities of the system.
    """

    def __init__(self, settings: SmtpSettings, *, tls_context: ssl.SSLContext | None = None) -> None:
        self._settings = settings
        self._tls_context = tls_context or ssl.create_default_context()

    def send(self, mail: Mail) -> None:
        """
        Send a mail; it blocks.

        :raises NotificationDelayedError: if a later attempt may succeed.
        :raises NotificationRefusedError: if the server rejects it.
        """
        sender = parseaddr(self._settings.sender)[1]
        message = compose(mail, self._settings.sender)
        try:
            with self._connect() as server:
                self._prepare(server)
                # The addresses are given: those of the headers would be parsed out of texts of users.
                server.send_message(message, check_address(sender), [mail.recipient.address])
        except (smtplib.SMTPException, OSError) as error:
            raise self._classify(error, mail) from error

    @contextmanager
    def _connect(self) -> Iterator[smtplib.SMTP]:
        settings = self._settings
        port = settings.port or DEFAULT_PORTS[settings.security]
        context = self._tls_context if settings.security is Security.TLS else None
        server = TimedSmtp(settings.helo, settings.timeout_seconds, context)
        try:
            server.connect(settings.host, port)
            yield server
            with suppress(smtplib.SMTPException, OSError):  # the mail was accepted already
                server.quit()
        finally:
            server.close()

    def _prepare(self, server: smtplib.SMTP) -> None:
        """Encrypt the connection and log in, if the settings say so."""
        if self._settings.security is Security.STARTTLS:
            server.starttls(context=self._tls_context)
        if self._settings.user is not None and self._settings.password is not None:
            server.login(self._settings.user, self._settings.password)

    def _classify(self, error: Exception, mail: Mail) -> NotificationError:
        code, said = _read_error(error)
        # A server may repeat the password in its answer.
        said = redact(said, self._settings.password)
        what = f"the mail to {mail.recipient.address!r} was not taken by {self._settings.host!r}: {said}"
        if code is None or code < 500:
            return NotificationDelayedError(f"{what}. It is tried again later.")
        return NotificationRefusedError(
            f"{what}. Check the address and the SMTP settings ({SmtpSettings.PREFIX}…)."
        )


class TimedSmtp(smtplib.SMTP):
    """
    A connection that is closed when the whole conversation takes too long, from the first byte on.

    The timeouts of ``smtplib`` are for one read: a server could send one byte after the other.

    :param timeout_seconds: For connecting and for each read; the conversation may take twice as long.
    :param tls_context: Encrypts the connection from its first byte.
    """

    def __init__(self, helo: str | None, timeout_seconds: float, tls_context: ssl.SSLContext | None) -> None:
        super().__init__(local_hostname=helo, timeout=timeout_seconds)
        self._conversation_seconds = timeout_seconds * 2
        self._tls_context = tls_context
        self._opened: tuple[socket.socket, threading.Timer] | None = None

    def connect(
        self, host: str = "localhost", port: int = 0, source_address: Any = None
    ) -> tuple[int, bytes]:
        """Connect, and read the greeting."""
        self._host = host  # starttls() checks the certificate against it
        return super().connect(host, port, source_address)

    def close(self) -> None:
        super().close()
        if self._opened is not None:
            copy, timer = self._opened
            timer.cancel()
            copy.close()

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        opened: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]
        copy = opened.dup()  # a TLS handshake takes the socket away from this object
        timer = threading.Timer(self._conversation_seconds, _shut_down, (copy,))
        timer.daemon = True
        timer.start()
        self._opened = copy, timer
        if self._tls_context is None:
            return opened
        return self._tls_context.wrap_socket(opened, server_hostname=host)


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _read_error(error: Exception) -> tuple[int | None, str]:
    """Read the code and the text of the server; without a code, a later attempt may succeed."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, said = next(iter(error.recipients.values()))  # there is only one
        return code, f"{code} {_decode(said)}"
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code, f"{error.smtp_code} {_decode(error.smtp_error)}"
    text = str(error) or type(error).__name__
    if isinstance(error, smtplib.SMTPNotSupportedError) or type(error) is smtplib.SMTPException:
        return 500, text  # the server does not support a setting, such as STARTTLS
    return None, text


def _decode(said: bytes | str) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said
