"""Databases are tried before they are saved, and bad URLs are refused with a sentence."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import pytest
from sqlalchemy.engine import URL, make_url

from airflow_provider_pushmetrics.service.models import DataSource
from tests.integration.service.conftest import Api

SECRET = "hunter22"


async def save(api: Api, url: str, **query: str) -> tuple[int, str]:
    body = {"database_name": f"d-{uuid4()}", "sqlalchemy_uri": url}
    answer = await api.client.post("/api/v1/database/", json=body, params=query)
    assert SECRET not in answer.text
    return answer.status_code, answer.json().get("message", "")


async def try_unsaved(api: Api, url: str, **more: Any) -> tuple[int, str]:
    answer = await api.client.post("/api/v1/database/test_connection", json={"sqlalchemy_uri": url, **more})
    assert SECRET not in answer.text
    return answer.status_code, answer.json()["message"]


async def count_databases(api: Api) -> int:
    count: int = (await api.client.get("/api/v1/database/")).json()["count"]
    return count


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Give a port that nothing listens on, and nothing else takes."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        yield port


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "at least 1 character"),
        ("nonsense", "must be a database URL"),
        (f"nosuch://me:{SECRET}@db/shop", "is not a supported database"),
        (f"postgresql://me:{SECRET}@db:99999/shop", "must be 1 to 65535"),
        (f"postgresql://me:{SECRET}@127.0.0.1/shop?nonsense=1", "not allowed for postgresql"),
        (f"postgresql://me:{SECRET}@127.0.0.1/shop?hostaddr=169.254.169.254", "not allowed for postgresql"),
        (f"mysql://me:{SECRET}@127.0.0.1/shop?read_default_file=/etc/passwd", "not allowed for mysql"),
        (f"postgresql://me:{SECRET}@169.254.169.254/shop", "which is never allowed"),
        (f"mysql://me:{SECRET}@[fe80::1]/shop", "which is never allowed"),
        (f"postgresql://me:{SECRET}@10.0.0.1/shop", "--allow-private-endpoints"),
        (f"postgresql://me:{SECRET}@nowhere.invalid/shop", "cannot be resolved"),
        ("duckdb:///missing.duckdb", "does not exist"),
        ("sqlite:///missing.db", "does not exist"),
        ("sqlite:////etc/passwd", "--source-dir"),
        ("duckdb:////etc", "--source-dir"),
    ],
)
async def test_bad_url_is_422_with_a_sentence_everywhere(api: Api, url: str, reason: str) -> None:
    before = await count_databases(api)
    kept = (await api.client.get("/api/v1/database/1")).json()["result"]
    for status, message in (
        await save(api, url),
        await try_unsaved(api, url),
        await change(api, kept["uid"], url),
    ):
        assert (status, reason in message) == (422, True), message
    assert await count_databases(api) == before
    assert (await api.client.get("/api/v1/database/1")).json()["result"] == kept


async def change(api: Api, reference: str, url: str, **query: str) -> tuple[int, str]:
    answer = await api.client.put(f"/api/v1/database/{reference}", json={"sqlalchemy_uri": url}, params=query)
    assert SECRET not in answer.text
    return answer.status_code, answer.json().get("message", "")


@pytest.mark.parametrize("scheme", ["postgresql", "mysql", "mariadb"])
async def test_server_that_does_not_answer_is_422(api: Api, scheme: str, closed_port: int) -> None:
    status, message = await save(api, f"{scheme}://me:{SECRET}@127.0.0.1:{closed_port}/shop")
    assert (status, bool(message)) == (422, True)


async def test_database_can_be_saved_without_being_tried(api: Api, closed_port: int) -> None:
    url = f"postgresql://me:{SECRET}@127.0.0.1:{closed_port}/shop"
    assert await save(api, url, skip_test="true") == (201, "")
    assert (await save(api, "postgresql://me@169.254.169.254/shop", skip_test="true"))[0] == 422


async def test_database_that_answers_is_saved(api: Api, tmp_path: Path) -> None:
    duckdb.connect(str(tmp_path / "shop.duckdb")).close()
    url = f"duckdb:///{tmp_path}/shop.duckdb"
    assert await try_unsaved(api, url) == (200, "The database answers")
    row = await api.add_database(url)
    answer = await api.client.post(f"/api/v1/database/{row['uid']}/test")
    assert answer.json()["result"] == {"is_reachable": True, "message": "The database answers"}


async def test_file_that_is_no_database_is_422(api: Api, tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("these are notes, and no database" * 100)
    status, message = await save(api, f"sqlite:///{tmp_path}/notes.db")
    assert status == 422
    assert str(tmp_path) not in message


async def test_wrong_password_of_mariadb_is_422(api: Api, mariadb_url: str) -> None:
    url = make_url(mariadb_url)
    assert await save(api, mariadb_url) == (201, "")
    wrong = url.set(username="nobody", password=SECRET).render_as_string(hide_password=False)
    status, message = await save(api, wrong)
    assert (status, "Access denied" in message) == (422, True), message


@pytest.mark.postgres
async def test_unknown_database_of_postgresql_is_422(api: Api, postgres_url: str) -> None:
    wrong = make_url(postgres_url).set(database="nosuch").render_as_string(hide_password=False)
    status, message = await save(api, wrong)
    assert (status, 'database "nosuch" does not exist' in message) == (422, True), message


async def test_masked_password_is_the_stored_one_for_the_same_server_only(api: Api, mariadb_url: str) -> None:
    url = make_url(mariadb_url)
    row = await api.add_database(mariadb_url)
    with api.parts.database.writing() as session:
        source = session.get_one(DataSource, row["id"])
        stored = url.set(password=SECRET).render_as_string(hide_password=False)
        source.location_encrypted = api.parts.cipher.encrypt(stored)
    masked = url.set(password="***").render_as_string(hide_password=False)
    assert (await change(api, row["uid"], masked, skip_test="true"))[0] == 200
    with api.parts.database.reading() as session:
        kept = api.parts.cipher.decrypt(session.get_one(DataSource, row["id"]).location_encrypted)
    assert make_url(kept).password == SECRET
    elsewhere = url.set(password="***", port=1).render_as_string(hide_password=False)
    for status, message in (
        await change(api, row["uid"], elsewhere, skip_test="true"),
        await try_unsaved(api, elsewhere, database=row["uid"]),
    ):
        assert (status, "needs the password" in message) == (422, True)


async def test_shown_url_is_written_back_with_all_its_options(
    api: Api, tmp_path: Path, closed_port: int
) -> None:
    (tmp_path / "ca.pem").touch()
    options = f"sslmode=verify-full&sslrootcert={tmp_path}/ca.pem&options=-c%20search_path%3Dsales"
    url = f"postgresql://me:{SECRET}@127.0.0.1:{closed_port}/shop?{options}"
    row = await api.add_database(url, skip_test=True)
    shown, before = row["sqlalchemy_uri"], read_location(api, row["id"])
    assert "sslmode=verify-full&sslrootcert=***" in shown
    assert str(tmp_path) not in shown
    moved = shown.replace("/shop?", "/sales?")
    assert await change(api, row["uid"], moved, skip_test="true") == (200, "")
    assert read_location(api, row["id"]) == before.set(database="sales")


def read_location(api: Api, database_id: int) -> URL:
    with api.parts.database.reading() as session:
        source = session.get_one(DataSource, database_id)
        return make_url(api.parts.cipher.decrypt(source.location_encrypted))


async def test_members_who_are_no_admins_try_nothing_unsaved(api: Api) -> None:
    made = await api.client.post(
        "/api/v1/user/", json={"email": "user@x.test", "first_name": "U", "last_name": "S", "roles": [2]}
    )
    user = made.json()["result"]
    token = await api.client.post(
        f"/api/v1/user/{user['uid']}/access_token/", json={"name": "t", "expires_on": "2999-12-31"}
    )
    answer = await api.client.post(
        "/api/v1/database/test_connection",
        json={"sqlalchemy_uri": "duckdb:///x"},
        headers={"Authorization": f"Bearer {token.json()['token']}"},
    )
    assert answer.status_code == 403


async def test_changed_and_deleted_databases_are_not_kept_open(api: Api, tmp_path: Path) -> None:
    for name in ("first", "second"):
        connection = duckdb.connect(str(tmp_path / f"{name}.duckdb"))
        connection.execute(f"CREATE TABLE t AS SELECT '{name}' AS name")
        connection.close()
    row = await api.add_database(f"duckdb:///{tmp_path}/first.duckdb")
    first = api.parts.sources.open(row["id"])
    assert api.parts.sources.open(row["id"]) is first
    assert await change(api, row["uid"], f"duckdb:///{tmp_path}/second.duckdb") == (200, "")
    second = api.parts.sources.open(row["id"])
    assert second is not first
    answer = await api.client.get(f"/api/v1/database/{row['id']}/table/t/main/")
    assert answer.json()["name"] == "t"
    await api.client.delete(f"/api/v1/database/{row['id']}")
    api.parts.sources.open(1)
    assert row["id"] not in api.parts.sources.list_open()


async def test_rules_are_checked_again_when_a_database_is_asked(api: Api, tmp_path: Path) -> None:
    """As if a name had led elsewhere since it was saved."""
    duckdb.connect(str(tmp_path / "x.duckdb")).close()
    row = await api.add_database(f"duckdb:///{tmp_path}/x.duckdb")
    with api.parts.database.writing() as session:
        source = session.get_one(DataSource, row["id"])
        location = "postgresql+psycopg://me:pw@169.254.169.254/shop"
        source.kind, source.location_encrypted = "postgresql", api.parts.cipher.encrypt(location)
    tried = (await api.client.post(f"/api/v1/database/{row['uid']}/test")).json()["result"]
    assert (tried["is_reachable"], "which is never allowed" in tried["message"]) == (False, True)
