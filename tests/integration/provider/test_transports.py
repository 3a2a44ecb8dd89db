"""One contract for both drivers: what a call says to one, it says to the other, and it gets the same back."""

from __future__ import annotations

import asyncio
import datetime
import gzip
import ipaddress
import logging
import socket
import ssl
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.responses import JSONResponse, RedirectResponse, Response

from airflow_provider_pushmetrics.client import protocol
from airflow_provider_pushmetrics.client.credentials import Credentials
from airflow_provider_pushmetrics.client.protocol import Call, NetworkError, Pause, Request
from airflow_provider_pushmetrics.client.retry_policy import ONE_ATTEMPT
from airflow_provider_pushmetrics.client.retrying import send
from airflow_provider_pushmetrics.client.transports import AsyncTransport, SyncTransport
from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError, PushMetricsUnavailableError
from airflow_provider_pushmetrics.hooks.async_client import PushMetricsAsyncClient
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.hooks.trust import CA_VARIABLES
from tests.fakes.loopback import serve_raw
from tests.fakes.pushmetrics import FakePushMetrics
from tests.fakes.service_process import find_free_port
from tests.fakes.waiting import until
from tests.integration.provider.conftest import Connect

T = TypeVar("T")
Run = Callable[[Call[Any]], Any]
TOKEN = "trigger-token-0123456789"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


def run_on_requests(call: Call[T]) -> T:
    return PushMetricsHook().call(call)


def run_on_aiohttp(call: Call[T]) -> T:
    async def run() -> T:
        async with PushMetricsAsyncClient.open("pushmetrics_default") as client:
            return await client.call(call)

    return asyncio.run(run())


@pytest.fixture(params=[run_on_requests, run_on_aiohttp], ids=["requests", "aiohttp"])
def run(request: pytest.FixtureRequest, connect: Connect) -> Run:
    connect()
    runner: Run = request.param
    return runner


def ask(request: Request) -> Call[protocol.Response]:
    """Send one request, without the retries."""
    response: protocol.Response = yield request
    return response


def ask_twice(request: Request) -> Call[tuple[protocol.Response, protocol.Response]]:
    first: protocol.Response = yield request
    yield Pause(0.0)
    second: protocol.Response = yield request
    return first, second


# What is sent


def test_a_request_arrives_as_it_was_meant(run: Run, pushmetrics: FakePushMetrics) -> None:
    request = Request(
        "PUT",
        f"{pushmetrics.url}/a/path?token=t%2Bk%2Fn%3D%3D&empty=",
        headers={"X-Some": "value", "Idempotency-Key": "key-1"},
        json_body={"name": "Zürich ☂", "n": None},
    )
    assert run(ask(request)).status_code == 404
    (seen,) = pushmetrics.seen
    assert (seen.method, seen.path) == ("PUT", "/a/path")
    assert seen.query == {"token": "t+k/n==", "empty": ""}
    assert seen.headers["x-some"] == "value"
    assert seen.headers["idempotency-key"] == "key-1"
    assert seen.headers["content-type"] == "application/json"
    assert seen.json == {"name": "Zürich ☂", "n": None}


def test_no_driver_logs_the_token_in_a_url(
    run: Run, pushmetrics: FakePushMetrics, caplog: pytest.LogCaptureFixture
) -> None:
    """urllib3 logs the path of each request, with its query."""
    caplog.set_level(logging.DEBUG)
    run(ask(Request("POST", f"{pushmetrics.url}/api/v1/report/1/webhook?token={TOKEN}")))
    assert TOKEN not in caplog.text
    if run is run_on_requests:
        assert "/api/v1/report/1/webhook?token=***" in caplog.text


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_without_a_body_has_none(run: Run, pushmetrics: FakePushMetrics, method: str) -> None:
    run(ask(Request(method, f"{pushmetrics.url}/x")))
    (seen,) = pushmetrics.seen
    assert seen.body == b""
    assert "content-type" not in seen.headers


@pytest.mark.parametrize("path", ["/a%2Fb%3Fc", "/a%20b", "/Z%C3%BCrich", "/a%25b", "/~a-b_c.d"])
def test_a_quoted_path_arrives_as_it_was_quoted(run: Run, pushmetrics: FakePushMetrics, path: str) -> None:
    run(ask(Request("GET", pushmetrics.url + path)))
    assert pushmetrics.seen[0].path == path


def test_no_password_of_a_netrc_file_takes_the_tokens_place(
    run: Run, pushmetrics: FakePushMetrics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    run(ask(Request("GET", f"{pushmetrics.url}/with", headers={"Authorization": f"Bearer {TOKEN}"})))
    run(ask(Request("GET", f"{pushmetrics.url}/without")))
    first, second = pushmetrics.seen
    assert first.headers["authorization"] == f"Bearer {TOKEN}"
    assert "authorization" not in second.headers


def test_no_cookie_is_kept(run: Run, pushmetrics: FakePushMetrics) -> None:
    answer = JSONResponse({})
    answer.set_cookie("session", "abc", domain=None)
    pushmetrics.results["/cookie"] = answer
    run(ask_twice(Request("GET", f"{pushmetrics.url}/cookie")))
    assert "cookie" not in pushmetrics.seen[1].headers


# What comes back


def test_an_answer_comes_back_whole(run: Run, pushmetrics: FakePushMetrics) -> None:
    body = b"0123456789" * 100_000
    pushmetrics.results["/x"] = Response(body, 200, {"Retry-After": "7", "X-Odd": "value"})
    response = run(ask(Request("GET", f"{pushmetrics.url}/x")))
    assert (response.status_code, response.body) == (200, body)
    assert (response.headers["retry-after"], response.headers["x-odd"]) == ("7", "value")


@pytest.mark.parametrize("status", [202, 400, 401, 404, 429, 500, 503])
def test_no_status_is_an_error_of_the_transport(run: Run, pushmetrics: FakePushMetrics, status: int) -> None:
    pushmetrics.results["/x"] = JSONResponse({"message": "words"}, status)
    response = run(ask(Request("GET", f"{pushmetrics.url}/x")))
    assert (response.status_code, response.body) == (status, b'{"message":"words"}')


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_redirect_is_not_followed(run: Run, pushmetrics: FakePushMetrics, method: str, status: int) -> None:
    pushmetrics.results["/x"] = RedirectResponse(f"{pushmetrics.url}/elsewhere", status)
    response = run(ask(Request(method, f"{pushmetrics.url}/x", headers={"Authorization": f"Bearer {TOKEN}"})))
    assert response.status_code == status
    assert response.headers["location"] == f"{pushmetrics.url}/elsewhere"
    assert [seen.path for seen in pushmetrics.seen] == ["/x"]


def test_a_compressed_answer_is_unpacked(run: Run, pushmetrics: FakePushMetrics) -> None:
    packed = gzip.compress(b'{"a": 1}')
    pushmetrics.results["/x"] = Response(packed, headers={"Content-Encoding": "gzip"})
    assert run(ask(Request("GET", f"{pushmetrics.url}/x"))).body == b'{"a": 1}'


def test_one_connection_serves_several_requests(run: Run, pushmetrics: FakePushMetrics) -> None:
    first, second = run(ask_twice(Request("GET", f"{pushmetrics.url}/x")))
    assert first.status_code == second.status_code == 404


# What goes wrong


def fail(run: Run, url: str, **kwargs: Any) -> NetworkError:
    with pytest.raises(NetworkError) as caught:
        run(ask(Request("POST", f"{url}/webhook?token={TOKEN}", json_body={"token": TOKEN}, **kwargs)))
    assert TOKEN not in str(caught.value)
    assert caught.value.__suppress_context__
    return caught.value


def test_a_refused_connection_was_never_sent(run: Run) -> None:
    port = find_free_port()
    error = fail(run, f"http://127.0.0.1:{port}")
    assert not error.was_sent
    assert str(error) == f"could not connect to '127.0.0.1' at port {port}: Connection refused"


def test_a_failure_is_told_in_one_traceback_and_one_sentence(run: Run) -> None:
    url = f"http://127.0.0.1:{find_free_port()}/webhook?token={TOKEN}"
    for is_repeatable in (True, False):
        request = Request("POST", url, is_repeatable=is_repeatable)
        with pytest.raises(PushMetricsUnavailableError, match="Connection refused") as caught:
            run(send(request, ONE_ATTEMPT))
        told = "".join(traceback.format_exception(caught.value))
        assert told.count("Traceback (most recent call last)") == 1


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    ],
    ids=["nothing", "half-a-body", "half-a-chunk", "no-chunk", "no-gzip", "no-http"],
)
def test_a_broken_answer_may_have_been_sent(run: Run, reply: bytes) -> None:
    with serve_raw(reply) as server:
        assert fail(run, server.url).was_sent


def test_whether_a_large_answer_is_there_is_found_out_without_reading_it(run: Run) -> None:
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n" + b"x" * 1000
    with serve_raw(endless) as server:
        answer = run(ask(Request("GET", server.url, is_streamed=True)))
    assert (answer.status_code, answer.body) == (200, b"")


def test_an_answer_that_does_not_come_in_time_may_have_been_sent(run: Run) -> None:
    with serve_raw(None) as server:
        assert fail(run, server.url, timeout_seconds=0.2).was_sent
        assert len(server.requests) == 1


def test_an_answer_that_stops_coming_may_have_been_sent(run: Run, pushmetrics: FakePushMetrics) -> None:
    async def stop(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})
        await receive()
        await receive()

    pushmetrics.results["/webhook"] = stop  # type: ignore[assignment]
    assert fail(run, pushmetrics.url, timeout_seconds=0.2).was_sent


def test_an_answer_that_drips_ends_with_the_time_for_all_of_it(
    run: Run, pushmetrics: FakePushMetrics
) -> None:
    async def drip(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9999")]})
        for _ in range(9999):
            await send({"type": "http.response.body", "body": b" ", "more_body": True})
            await asyncio.sleep(0.02)

    pushmetrics.results["/webhook"] = drip  # type: ignore[assignment]
    began = time.monotonic()
    assert fail(run, pushmetrics.url, timeout_seconds=0.1).was_sent
    assert time.monotonic() - began < 60  # it would take 200 seconds


def test_the_connections_timeout_counts(run: Run, connect: Connect) -> None:
    connect(timeout=0.2)
    with serve_raw(None) as server:
        assert fail(run, server.url, timeout_seconds=60.0).was_sent


def test_the_connections_timeout_does_not_cut_an_answer_that_is_held_back_on_purpose(
    run: Run, connect: Connect, pushmetrics: FakePushMetrics
) -> None:
    connect(timeout=0.3)

    async def hold(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.6)
        await JSONResponse({})(scope, receive, send)

    pushmetrics.results["/x"] = hold  # type: ignore[assignment]
    assert run(ask(Request("GET", f"{pushmetrics.url}/x", held_seconds=0.6))).status_code == 200


def run_small(kind: str, call: Call[T]) -> T:
    """Run a call on a transport that bears only ten bytes."""
    if kind == "requests":
        with requests.Session() as session:
            return SyncTransport(session, max_body_bytes=10).run(call)

    async def run() -> T:
        async with aiohttp.ClientSession() as session:
            return await AsyncTransport(session, max_body_bytes=10).run(call)

    return asyncio.run(run())


@pytest.mark.parametrize("kind", ["requests", "aiohttp"])
def test_an_answer_that_is_too_large_is_refused_with_the_way_out(
    kind: str, pushmetrics: FakePushMetrics
) -> None:
    pushmetrics.results["/x"] = Response(b"0123456789")
    assert run_small(kind, ask(Request("GET", f"{pushmetrics.url}/x"))).body == b"0123456789"
    pushmetrics.results["/x"] = Response(
        gzip.compress(b"0" * 1_000_000), headers={"Content-Encoding": "gzip"}
    )
    with pytest.raises(
        NetworkError, match=r"more than 10 bytes\. Save the result to a file instead"
    ) as caught:
        run_small(kind, ask(Request("GET", f"{pushmetrics.url}/x")))
    assert caught.value.was_sent


def test_a_call_may_go_on_after_an_error(run: Run, pushmetrics: FakePushMetrics) -> None:
    def try_twice() -> Call[int]:
        try:
            yield Request("GET", f"http://127.0.0.1:{find_free_port()}")
        except NetworkError:
            response: protocol.Response = yield Request("GET", f"{pushmetrics.url}/x")
        return response.status_code

    assert run(try_twice()) == 404


def test_an_error_of_the_call_itself_comes_through(run: Run, pushmetrics: FakePushMetrics) -> None:
    def refuse() -> Call[None]:
        yield Request("GET", f"{pushmetrics.url}/x")
        raise LookupError("not what was wanted")

    with pytest.raises(LookupError, match="not what was wanted"):
        run(refuse())


# Proxies


@pytest.mark.parametrize("env", [None, "http://127.0.0.1:9"])
def test_the_connections_proxy_is_used_before_that_of_the_environment(
    run: Run, connect: Connect, monkeypatch: pytest.MonkeyPatch, env: str | None
) -> None:
    if env:
        monkeypatch.setenv("http_proxy", env)
    with serve_raw(OK) as proxy:
        connect(proxies={"http": proxy.url})
        assert run(ask(Request("GET", "http://pushmetrics.invalid/x"))).status_code == 200
        assert proxy.requests[0].startswith(b"GET http://pushmetrics.invalid/x HTTP/1.1\r\n")


def test_a_proxy_for_one_scheme_is_not_used_for_another(
    run: Run, connect: Connect, pushmetrics: FakePushMetrics
) -> None:
    connect(host="https://pushmetrics.invalid", proxies={"https": f"http://127.0.0.1:{find_free_port()}"})
    assert run(ask(Request("GET", f"{pushmetrics.url}/x"))).status_code == 404


def test_the_proxy_of_the_environment_is_used_unless_the_connection_says_otherwise(
    run: Run, connect: Connect, pushmetrics: FakePushMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "")
    with serve_raw(OK) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert run(ask(Request("GET", "http://pushmetrics.invalid/x"))).status_code == 200
        connect(trust_env=False)
        assert run(ask(Request("GET", f"{pushmetrics.url}/x"))).status_code == 404
        assert len(proxy.requests) == 1


def test_hosts_that_the_environment_excepts_are_reached_directly(
    run: Run, pushmetrics: FakePushMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{find_free_port()}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert run(ask(Request("GET", f"{pushmetrics.url}/x"))).status_code == 404


def test_a_proxy_that_is_not_there_was_never_sent_anything(run: Run, connect: Connect) -> None:
    connect(proxies={"http": f"http://user:pa55word@127.0.0.1:{find_free_port()}"})
    error = fail(run, "http://pushmetrics.invalid")
    assert not error.was_sent
    assert "pa55word" not in str(error)


def test_a_proxy_that_hangs_up_after_the_request_may_have_sent_it_on(run: Run, connect: Connect) -> None:
    with serve_raw(b"") as proxy:
        connect(proxies={"http": proxy.url})
        assert fail(run, "http://pushmetrics.invalid").was_sent
        assert len(proxy.requests) == 1


# TLS


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate that nobody trusts, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pushmetrics test")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_a_server_that_is_not_trusted_is_never_sent_anything(run: Run, tls: ssl.SSLContext) -> None:
    with serve_raw(OK, tls=tls) as server:
        assert not fail(run, server.url).was_sent
        assert server.requests == []


# requests says on each call that it does not check the server: the user has asked for that.
@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("verify", ["file", False, "False"])
def test_the_connection_says_which_servers_are_trusted(
    run: Run,
    connect: Connect,
    tls: ssl.SSLContext,
    certificate: Path,
    verify: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent/of-the-environment.pem")
    connect(verify=str(certificate) if verify == "file" else verify)
    with serve_raw(OK, tls=tls) as server:
        assert run(ask(Request("GET", f"{server.url}/x"))).status_code == 200


@pytest.fixture
def no_ca_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CA_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("no_ca_variables")
@pytest.mark.parametrize("name", CA_VARIABLES)
def test_the_environment_says_which_servers_are_trusted(
    run: Run,
    connect: Connect,
    tls: ssl.SSLContext,
    certificate: Path,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(name, str(certificate))
    with serve_raw(OK, tls=tls) as server:
        assert run(ask(Request("GET", f"{server.url}/x"))).status_code == 200
        connect(trust_env=False)
        assert "certificate" in str(fail(run, server.url)).lower()


@pytest.mark.usefixtures("no_ca_variables")
@pytest.mark.parametrize("name", CA_VARIABLES)
@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_of_the_environment_that_cannot_be_used_is_an_error_that_names_the_variable(
    run: Run, tmp_path: Path, name: str, content: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv(name, str(path))
    with pytest.raises(PushMetricsConfigurationError, match=f"variable {name} names '{path}', which cannot"):
        run(ask(Request("GET", "https://127.0.0.1:9/x")))


def test_a_client_certificate_that_cannot_be_used_is_an_error_that_names_the_extra(
    run: Run, connect: Connect, tmp_path: Path
) -> None:
    connect(cert=str(tmp_path / "cert.pem"))
    with pytest.raises(PushMetricsConfigurationError, match=r"extra 'cert' is .*No such file"):
        run(ask(Request("GET", "https://127.0.0.1:9/x")))


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("uri", ["pushmetrics://:tok@[::1]:{}/http", "pushmetrics://http://:tok@[::1]:{}"])
def test_a_host_may_be_an_ipv6_address(run: Run, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_ipv6():
        pytest.skip("there is no IPv6 on this machine")
    with serve_raw(OK, host="::1") as server:
        port = server.server_address[1]
        monkeypatch.setenv("AIRFLOW_CONN_PUSHMETRICS_DEFAULT", uri.format(port))
        base_url = PushMetricsHook().settings.base_url
        assert base_url == f"http://[::1]:{port}"
        assert run(ask(Request("GET", f"{base_url}/x"))).status_code == 200


def test_a_client_certificate_is_shown_by_both(
    run: Run, connect: Connect, tls: ssl.SSLContext, certificate: Path
) -> None:
    tls.load_verify_locations(certificate)
    tls.verify_mode = ssl.CERT_REQUIRED
    connect(verify=str(certificate), cert=str(certificate))
    with serve_raw(OK, tls=tls) as server:
        assert run(ask(Request("GET", f"{server.url}/x"))).status_code == 200


def test_tls_that_breaks_after_the_request_may_have_been_sent(
    run: Run, connect: Connect, tls: ssl.SSLContext, certificate: Path
) -> None:
    connect(verify=str(certificate))
    with serve_raw(b"this is no TLS record at all", tls=tls, breaks_tls=True) as server:
        assert fail(run, server.url).was_sent
        assert len(server.requests) == 1


# Calls that are left


def begin_exchange(url: str) -> tuple[Credentials, Call[dict[str, str]]]:
    """Build a call that exchanges the API token, and keep it, as a traceback does."""
    credentials = Credentials(url, "pmpat_" + "a" * 43)
    return credentials, credentials.authorize()


async def test_a_call_that_is_cancelled_while_it_exchanges_the_token_lets_the_next_one_do_so() -> None:
    with serve_raw(None) as server:
        credentials, call = begin_exchange(server.url)
        async with aiohttp.ClientSession() as session:
            task = asyncio.create_task(AsyncTransport(session).run(call))
            await until(lambda: server.requests)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert isinstance(next(credentials.authorize()), Request)
    assert call is not None


def test_a_call_that_is_interrupted_while_it_exchanges_the_token_lets_the_next_one_do_so() -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    with serve_raw(b"HTTP/1.1 503 Wait\r\nContent-Length: 0\r\nConnection: close\r\n\r\n") as server:
        credentials, call = begin_exchange(server.url)
        with pytest.raises(KeyboardInterrupt):
            SyncTransport(requests.Session(), sleep=interrupt).run(call)
        assert isinstance(next(credentials.authorize()), Request)
    assert call is not None
