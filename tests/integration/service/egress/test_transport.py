"""The guard over real sockets: HTTP and TLS on loopback."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_provider_pushmetrics.service.egress.rules import EgressRules
from airflow_provider_pushmetrics.service.egress.transport import GuardedNetwork, GuardedTransport
from tests.fakes.certificates import make_tls
from tests.fakes.loopback import serve_http, serve_raw
from tests.fakes.names import Detour, NameService
from tests.fakes.service_process import find_free_port
from tests.fakes.service_subscriber import Subscriber

STRICT, DEMO = EgressRules(), EgressRules(allow_loopback=True)
PUBLIC = "93.184.216.34"
KEPT_OPEN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def open_client(
    rules: EgressRules, network: GuardedNetwork | None = None, ssl_context: ssl.SSLContext | None = None
) -> httpx.Client:
    transport = GuardedTransport(rules, network=network, ssl_context=ssl_context)
    return httpx.Client(transport=transport, timeout=120, trust_env=False)


def test_event_reaches_a_subscriber_on_this_machine_when_that_is_allowed(subscriber: Subscriber) -> None:
    with open_client(DEMO) as client:
        assert client.post(subscriber.url, json={"event": "x"}).text == "ok"
        assert client.post(subscriber.url.replace("127.0.0.1", "localhost")).status_code == 202
    assert [received.path for received in subscriber.received] == ["/hook", "/hook"]


def test_closed_port_is_a_connection_error() -> None:
    with open_client(DEMO) as client, pytest.raises(httpx.ConnectError):
        client.post(f"http://127.0.0.1:{find_free_port()}/")


def test_host_header_stays_the_name() -> None:
    with serve_raw(KEPT_OPEN) as server:
        port = server.server_address[1]
        guard = GuardedNetwork(STRICT, resolve=NameService({"h.example": [[PUBLIC]]}), network=Detour())
        with open_client(STRICT, guard) as client:
            assert client.post(f"http://h.example:{port}/hook?a=b").text == "ok"
        assert server.requests[0].startswith(b"POST /hook?a=b HTTP/1.1\r\nHost: h.example:%d\r\n" % port)


@dataclass
class Tls:
    """A server's certificate for h.example, and the names that clients asked for."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    tls = Tls(*make_tls(tmp_path, "h.example"))
    tls.server.sni_callback = lambda connection, name, context: tls.asked.append(str(name))
    return tls


@pytest.fixture
def tls_port(tls: Tls) -> Iterator[int]:
    with serve_raw(KEPT_OPEN, tls=tls.server) as server:
        yield server.server_address[1]


def test_certificate_is_checked_for_the_name_and_not_for_the_address(tls: Tls, tls_port: int) -> None:
    names, network = NameService({"h.example": [[PUBLIC]], "other.example": [[PUBLIC]]}), Detour()
    guard = GuardedNetwork(STRICT, resolve=names, network=network)
    with open_client(STRICT, guard, tls.client) as client:
        assert client.post(f"https://h.example:{tls_port}/").text == "ok"
        with pytest.raises(httpx.ConnectError, match=r"not valid for 'other\.example'"):
            client.post(f"https://other.example:{tls_port}/")
    assert tls.asked == ["h.example", "other.example"]
    assert network.connected == [PUBLIC, PUBLIC]


def test_no_extension_replaces_the_name_that_a_certificate_is_checked_for(tls: Tls, tls_port: int) -> None:
    guard = GuardedNetwork(STRICT, resolve=NameService({"other.example": [[PUBLIC]]}), network=Detour())
    with open_client(STRICT, guard, tls.client) as client, pytest.raises(httpx.ConnectError):
        client.post(f"https://other.example:{tls_port}/", extensions={"sni_hostname": "h.example"})
    assert tls.asked == ["other.example"]


async def answer_ok(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def test_connection_that_is_kept_goes_on_to_the_address_that_was_checked() -> None:
    names, network = NameService({"h.example": [[PUBLIC], ["127.0.0.1"]]}), Detour()
    guard = GuardedNetwork(STRICT, resolve=names, network=network)
    with serve_http() as server, open_client(STRICT, guard) as client:
        server.app = answer_ok
        url = server.url.replace("127.0.0.1", "h.example")
        assert [client.get(url).text for _ in range(3)] == ["ok", "ok", "ok"]
    assert names.asked == ["h.example"]
    assert network.connected == [PUBLIC]
