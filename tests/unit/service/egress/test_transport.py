"""The guard, with names and a network of the test's own."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Sequence

import httpcore
import httpx
import pytest

from airflow_provider_pushmetrics.exceptions import PushMetricsEndpointError
from airflow_provider_pushmetrics.service.egress.rules import EgressRules
from airflow_provider_pushmetrics.service.egress.transport import (
    BoundedResolver,
    GuardedNetwork,
    GuardedTransport,
    resolve_host,
)
from tests.fakes.names import NameService, ScriptedNetwork
from tests.fakes.threads import run_out_of_threads

STRICT = EgressRules()
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Nothing here speaks TLS, and to load all authorities takes time."""
OK = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
MOVED = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:8090/\r\nContent-Length: 0\r\n\r\n"
PUBLIC, OTHER = "93.184.216.34", "2606:2800:220:1::1"


class Guarded:
    """A client behind the guard, and what it is behind."""

    def __init__(
        self,
        *answers: list[str],
        rules: EgressRules = STRICT,
        reply: bytes = OK,
        dead: Sequence[str] = (),
        follow_redirects: bool = False,
    ) -> None:
        self.names = NameService({"h.example": answers} if answers else {})
        self.network = ScriptedNetwork(reply, dead)
        self.now = 0.0
        guard = GuardedNetwork(rules, resolve=self.names, network=self.network, monotonic=self.tick)
        self.client = httpx.Client(
            transport=GuardedTransport(rules, network=guard, ssl_context=NO_TLS),
            timeout=15,
            trust_env=False,
            follow_redirects=follow_redirects,
        )

    def tick(self) -> float:
        self.now += 4
        return self.now


def test_lookup_that_gets_no_thread_takes_no_place_for_ever() -> None:
    resolve = BoundedResolver(max_waiting=2)
    with run_out_of_threads():
        for _ in range(3):
            with pytest.raises(OSError, match="can't start new thread"):
                resolve("localhost", 80)
    assert resolve("localhost", 80)


def test_host_is_resolved_once_and_connected_to_at_that_address() -> None:
    guarded = Guarded([PUBLIC], ["127.0.0.1"])
    assert guarded.client.post("http://h.example/hook").status_code == 204
    assert guarded.names.asked == ["h.example"]
    assert guarded.network.connected == [PUBLIC]


def test_name_that_is_rebound_to_loopback_is_refused_at_the_next_connection() -> None:
    guarded = Guarded([PUBLIC], ["127.0.0.1"])
    guarded.client.post("http://h.example/hook")
    with pytest.raises(PushMetricsEndpointError, match="a loopback address"):
        guarded.client.post("http://h.example/hook")
    assert guarded.network.connected == [PUBLIC]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "::1",
        "fd00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "0.0.0.0",
    ],
)
@pytest.mark.parametrize("position", [0, 1])
def test_name_with_an_address_inside_is_refused_before_anything_is_connected(
    address: str, position: int
) -> None:
    addresses = [PUBLIC]
    addresses.insert(position, address)
    guarded = Guarded(addresses)
    with pytest.raises(PushMetricsEndpointError, match=r"endpoint 'h\.example'"):
        guarded.client.post("http://h.example/?token=s3cret")
    assert guarded.network.connected == []


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::ffff:7f00:1]/",
        "http://localhost/",
        "http://h.example:22/",
        "http://user:password@h.example/",
        "ftp://h.example/",
    ],
)
def test_refused_url_is_neither_resolved_nor_connected_to(url: str) -> None:
    guarded = Guarded([PUBLIC])
    with pytest.raises((PushMetricsEndpointError, httpx.UnsupportedProtocol)):
        guarded.client.post(url)
    assert guarded.names.asked == guarded.network.connected == []


def test_client_that_follows_redirects_is_stopped_at_the_guard() -> None:
    guarded = Guarded([PUBLIC], reply=MOVED, follow_redirects=True)
    with pytest.raises(PushMetricsEndpointError, match=r"endpoint '127\.0\.0\.1'"):
        guarded.client.post("http://h.example/")
    assert guarded.network.connected == [PUBLIC]


def test_next_address_is_tried_in_what_is_left_of_the_time() -> None:
    guarded = Guarded([OTHER, PUBLIC], dead=[OTHER])
    assert guarded.client.post("http://h.example/").status_code == 204
    assert guarded.network.connected == [OTHER, PUBLIC]
    assert guarded.network.timeouts == [11, 7]


def test_many_dead_addresses_have_the_time_of_one() -> None:
    addresses = [f"93.184.216.{number}" for number in range(100)]
    guarded = Guarded(addresses, dead=addresses)
    with pytest.raises(httpx.ConnectTimeout, match="no address of the host answered in time"):
        guarded.client.post("http://h.example/")
    assert len(guarded.network.connected) == 3


def test_host_where_nobody_answers_is_a_connection_error() -> None:
    with pytest.raises(httpx.ConnectError, match="nobody at"):
        Guarded([PUBLIC], dead=[PUBLIC]).client.post("http://h.example/")


@pytest.mark.parametrize("answers", [[], [[]]])
def test_host_without_an_address_is_a_connection_error(answers: list[list[str]]) -> None:
    with pytest.raises(httpx.ConnectError, match=r"cannot be resolved|has no address"):
        Guarded(*answers).client.post("http://h.example/")


def test_loopback_and_private_addresses_can_be_allowed() -> None:
    demo, private = EgressRules(allow_loopback=True), EgressRules(allow_private=True)
    assert Guarded(rules=demo).client.post("http://127.0.0.1/").status_code == 204
    assert Guarded(["10.0.0.1"], rules=private).client.post("http://h.example/").status_code == 204
    with pytest.raises(PushMetricsEndpointError, match="a private address"):
        Guarded(["10.0.0.1"], rules=demo).client.post("http://h.example/")
    with pytest.raises(PushMetricsEndpointError, match="a link-local address"):
        Guarded(["169.254.169.254"], rules=private).client.post("http://h.example/")


def test_socket_of_this_machine_is_refused() -> None:
    with pytest.raises(PushMetricsEndpointError, match="not a socket"):
        GuardedNetwork(EgressRules(allow_private=True)).connect_unix_socket("/run/any.sock")


def test_broken_answer_is_an_error_of_httpx() -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        Guarded([PUBLIC], reply=b"SSH-2.0-x\r\n\r\n").client.post("http://h.example/")
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
    with pytest.raises(httpx.RemoteProtocolError):
        Guarded([PUBLIC], reply=half).client.post("http://h.example/")


def test_the_system_s_addresses_come_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(host: str, port: int, **kinds: int) -> list[tuple[object, ...]]:
        assert kinds == {"type": socket.SOCK_STREAM}
        return [(socket.AF_INET, 1, 6, "", (PUBLIC, port)), (socket.AF_INET, 1, 6, "", (PUBLIC, port))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    assert resolve_host("h.example", 443) == [PUBLIC]


def test_look_up_that_hangs_is_not_waited_for() -> None:
    release = threading.Event()

    def hang(host: str, port: int) -> list[str]:
        release.wait(120)
        return ["93.184.216.34"]

    resolver = BoundedResolver(hang, timeout_seconds=0.05, max_waiting=1)
    guard = GuardedNetwork(EgressRules(), resolve=resolver)
    try:
        with pytest.raises(httpcore.ConnectError, match=r"cannot be resolved: no answer in 0\.05 s"):
            guard.connect_tcp("slow.example", 443, 5)
        with pytest.raises(TimeoutError, match="too many other names"):
            resolver("another.example", 443)
    finally:
        release.set()


def test_look_up_in_time_gives_what_was_found_or_why_not() -> None:
    def resolve(host: str, port: int) -> list[str]:
        if host == "gone.example":
            raise OSError("no such name")
        return ["93.184.216.34"]

    resolver = BoundedResolver(resolve, timeout_seconds=5)
    assert resolver("h.example", 443) == ["93.184.216.34"]
    with pytest.raises(OSError, match="no such name"):
        resolver("gone.example", 443)
