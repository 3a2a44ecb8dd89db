from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_pushmetrics.demo.clients.http import LocalServer
from airflow_provider_pushmetrics.demo.processes.ports import find_free_ports
from airflow_provider_pushmetrics.exceptions import DemoError
from tests.integration.demo.conftest import FakeServer


@pytest.fixture(name="client")
def make_client(server: FakeServer) -> Iterator[LocalServer]:
    client = LocalServer("the server", server.url)
    yield client
    client.close()


@pytest.fixture(name="nobody")
def make_nobody() -> Iterator[LocalServer]:
    client = LocalServer("the server", f"http://127.0.0.1:{find_free_ports(1)[0]}")
    yield client
    client.close()


def test_json_is_found(server: FakeServer, client: LocalServer) -> None:
    server.will_answer("GET", "/thing", {"a": 1})
    assert client.find("/thing", limit=5) == {"a": 1}
    assert server.requests[0][1] == "/thing?limit=5"


def test_a_server_that_is_not_up_has_nothing(nobody: LocalServer) -> None:
    assert nobody.find("/thing") is None


@pytest.mark.parametrize("status", [404, 500, 503])
def test_a_server_that_cannot_serve_has_nothing(server: FakeServer, client: LocalServer, status: int) -> None:
    server.will_answer("GET", "/thing", {}, status)
    assert client.find("/thing") is None


def test_a_refusal_is_an_error_that_says_what_was_asked(server: FakeServer, client: LocalServer) -> None:
    server.will_answer("POST", "/thing", {"message": "Forbidden"}, 403)
    with pytest.raises(
        DemoError, match=r'the server answered 403 to POST /thing: \{"message": "Forbidden"\}'
    ):
        client.post("/thing", {})


def test_a_server_that_knows_other_credentials_is_not_the_demos(
    server: FakeServer, client: LocalServer
) -> None:
    server.will_answer("POST", "/thing", {}, 401)
    with pytest.raises(DemoError, match=r"Does another program listen at http://127\.0\.0\.1:\d+\?"):
        client.post("/thing", {})


def test_an_error_holds_no_token(server: FakeServer, client: LocalServer) -> None:
    server.will_answer("GET", "/thing", {"message": "no token=s3cret here"}, 403)
    with pytest.raises(DemoError) as raised:
        client.fetch("/thing")
    assert "s3cret" not in str(raised.value)


def test_a_redirect_is_not_followed(server: FakeServer, client: LocalServer) -> None:
    server.will_answer("GET", "/thing", {}, 302)
    with pytest.raises(DemoError, match="answered 302"):
        client.fetch("/thing")


def test_a_server_that_is_gone_is_named(nobody: LocalServer) -> None:
    with pytest.raises(DemoError, match="the server does not answer GET /thing"):
        nobody.fetch("/thing")


def test_what_is_no_json_is_refused(server: FakeServer, client: LocalServer) -> None:
    server.will_answer("GET", "/thing", b"<html>")
    with pytest.raises(DemoError, match="the server answered no JSON to GET /thing"):
        client.fetch("/thing")


def test_a_proxy_for_the_outside_sees_nothing(
    server: FakeServer, client: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server.will_answer("GET", "/thing", {})
    assert client.fetch("/thing") == {}
