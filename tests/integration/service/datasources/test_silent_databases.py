"""Databases that take connections and never answer, as behind a firewall that drops packets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio.from_thread
import anyio.to_thread
import pytest
from sqlalchemy import event

from tests.integration.service.conftest import Api

MANY = 45
"""More than the threads of the server."""

PATIENT = "postgresql://u:p@127.0.0.1:{port}/d?connect_timeout=60"


@contextmanager
def listen_silently() -> Iterator[int]:
    """Listen on a port, and answer no connection; their clients get errors at the end of the block."""
    with socket.create_server(("127.0.0.1", 0), backlog=2 * MANY) as server:
        yield server.getsockname()[1]


async def add(api: Api, url: str) -> str:
    return f"/api/v1/database/{(await api.add_database(url, skip_test=True))['id']}"


@pytest.mark.parametrize("call", ["GET schemas/", "POST test", "POST test_connection", "POST", "PUT"])
async def test_service_answers_while_many_requests_wait_for_a_silent_database(api: Api, call: str) -> None:
    method, _, path = call.partition(" ")
    with listen_silently() as port:
        url = PATIENT.format(port=port)
        saved = await add(api, url)
        body = {"database_name": f"silent {port}", "sqlalchemy_uri": url}
        paths = {
            "test_connection": "/api/v1/database/test_connection",
            "": "/api/v1/database/" if method == "POST" else saved,
        }
        wanted = paths.get(path, f"{saved}/{path}")
        json = None if path in ("schemas/", "test") else body
        waiting = [asyncio.ensure_future(api.client.request(method, wanted, json=json)) for _ in range(MANY)]
        await asyncio.sleep(0)
        answers = [await api.client.get(one) for one in ("/api/v1/report/", "/health/ready")]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert [one for one in waiting if one.done()] == [], "it waited for the database too"
    for answer in await asyncio.gather(*waiting):
        assert answer.status_code == (200 if path == "test" else 422)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_database_is_renamed_and_added_untested_while_many_requests_wait_for_a_silent_one(
    api: Api,
) -> None:
    with listen_silently() as port:
        saved = await add(api, PATIENT.format(port=port))
        waiting = [asyncio.ensure_future(api.client.post(f"{saved}/test")) for _ in range(MANY)]
        await asyncio.sleep(0)
        renamed = await api.client.put(saved, json={"database_name": f"renamed {port}"})
        assert renamed.json()["result"]["database_name"] == f"renamed {port}"
        await add(api, PATIENT.format(port=port))
        moved = {"sqlalchemy_uri": PATIENT.format(port=port) + "&application_name=x"}
        changed = await api.client.put(saved, json=moved, params={"skip_test": True})
        assert changed.status_code == 200
        assert [one for one in waiting if one.done()] == [], "it waited for the database too"
    await asyncio.gather(*waiting)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_server_of_a_database_that_is_saved_untested_is_looked_up_in_no_thread_of_other_requests(
    api: Api,
) -> None:
    borrowed: list[int] = []

    def count_threads(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith(("INSERT INTO data_source", "UPDATE data_source")):
            limiter = anyio.from_thread.run_sync(anyio.to_thread.current_default_thread_limiter)
            borrowed.append(limiter.borrowed_tokens)

    event.listen(api.parts.database.engine, "before_cursor_execute", count_threads)
    saved = await add(api, "postgresql://me@localhost/shop")
    moved = {"sqlalchemy_uri": "postgresql://me@localhost/sales"}
    assert (await api.client.put(saved, json=moved, params={"skip_test": True})).status_code == 200
    assert borrowed == [0, 0]


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("scheme", ["postgresql", pytest.param("mysql", marks=pytest.mark.slow)])
async def test_look_at_a_silent_database_ends_by_itself(api: Api, scheme: str) -> None:
    with listen_silently() as port:
        waiting, silent = [
            asyncio.ensure_future(api.client.get(f"{await add(api, url)}/schemas/"))
            for url in (PATIENT.format(port=port), f"{scheme}://u:p@127.0.0.1:{port}/d")
        ]
        await asyncio.wait([waiting, silent], return_when=asyncio.FIRST_COMPLETED)
        assert (silent.done(), waiting.done()) == (True, False)
    assert [answer.status_code for answer in await asyncio.gather(waiting, silent)] == [422, 422]
