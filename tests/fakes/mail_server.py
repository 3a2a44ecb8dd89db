"""A mail server: real SMTP on loopback, that remembers what it took."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.fakes.loopback import serve_connection

DRIP_SECONDS = 60.0

TLS_RECORD = b"\x16\x03\x03\x3f\xff"
"""The header of a long record of a TLS handshake."""


@dataclass
class MailServer:
    """
    What the server took, and what it says.

    :param recipient_answer: Its answer to a recipient, where it does not take one.
    :param data_answer: Its answer to a message.
    :param is_holding: Whether it waits before it answers to a message.
    :param held: How many messages it has received, also those that it has not answered.
    """

    port: int = 0
    recipient_answer: str | None = None
    data_answer: str = "250 OK"
    is_holding: bool = False
    held: int = 0
    taken: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.recipient_answer:
            return self.recipient_answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.held += 1
        while self.is_holding:  # noqa: ASYNC110 - a test says so in another thread
            await asyncio.sleep(0.05)
        if self.data_answer.startswith("2"):
            assert isinstance(envelope.content, bytes)
            message = message_from_bytes(envelope.content, policy=default)
            assert isinstance(message, EmailMessage)
            self.taken.append(message)
            self.envelopes.append((str(envelope.mail_from), [str(one) for one in envelope.rcpt_tos]))
            assert server.transport is not None
            self.encrypted.append(server.transport.get_extra_info("sslcontext") is not None)
        return self.data_answer

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, credentials: Any
    ) -> AuthResult:
        assert isinstance(credentials, LoginPassword)
        login = credentials.login.decode(), credentials.password.decode()
        self.logins.append(login)
        return AuthResult(success=login == ("reporter", "pa55word"), handled=False)


@asynccontextmanager
async def serve_mail(
    *, starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None, asks_login: bool = False
) -> AsyncIterator[MailServer]:
    """Take mail on a free port of loopback."""
    server = MailServer()

    def make() -> SMTP:
        with warnings.catch_warnings():
            # It warns of passwords in the clear, which is what some tests are about.
            warnings.simplefilter("ignore")
            return SMTP(
                server,
                hostname="mail.test",
                loop=asyncio.get_running_loop(),
                tls_context=starttls,
                require_starttls=starttls is not None,
                authenticator=server.authenticate if asks_login else None,
                auth_required=asks_login,
                auth_require_tls=False,
            )

    async with _listen(make, tls) as server.port:
        yield server


@contextmanager
def serve_mail_in_thread() -> Iterator[MailServer]:
    """Take mail in a thread of its own, for a service that several tests share."""
    loop = asyncio.new_event_loop()
    started: Future[MailServer] = Future()
    stopping = asyncio.Event()

    async def serve() -> None:
        async with serve_mail() as server:
            started.set_result(server)
            await stopping.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    try:
        yield started.result(10)
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(120)
        loop.close()


@asynccontextmanager
async def serve_silence() -> AsyncIterator[int]:
    """Accept connections and say nothing."""
    async with _listen(asyncio.Protocol, None) as port:
        yield port


def serve_dripping(*, greets: bool) -> AbstractContextManager[int]:
    """
    Take one connection, send it one byte every tenth of a second, and never end a line.

    :param greets: Send a whole greeting and one whole answer first.
    """

    def drip(connection: socket.socket, stopping: threading.Event) -> None:
        if greets:
            connection.sendall(b"220 mail.test\r\n")
            connection.recv(1024)
            connection.sendall(b"250-mail.test\r\n250 STARTTLS\r\n")
        for number in range(round(DRIP_SECONDS * 10)):
            connection.sendall(TLS_RECORD[number : number + 1] or b"2")
            if stopping.wait(0.1):
                break

    return serve_connection(drip)


@asynccontextmanager
async def _listen(make: Callable[[], asyncio.BaseProtocol], tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    listener = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0, ssl=tls)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        await listener.wait_closed()
