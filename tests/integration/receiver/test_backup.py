"""Backups of an inbox that is written meanwhile, and readers of one that is restored from an older backup."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy.engine import make_url
from starlette.applications import Starlette
from typer.testing import CliRunner, Result

from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.receiver.app import create_app
from airflow_provider_pushmetrics.receiver.backup import SPARE_IDS, choose_next_id
from airflow_provider_pushmetrics.receiver.cli import app as command
from airflow_provider_pushmetrics.receiver.inbox.records import IncomingWebhook
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from airflow_provider_pushmetrics.receiver.inbox.tables import state
from airflow_provider_pushmetrics.receiver.settings import ReceiverSettings
from tests.fakes.postgres import make_database
from tests.fakes.postgres_programs import add_postgres_programs
from tests.fakes.receiver_server import READER_TOKEN
from tests.integration.receiver.conftest import SETTINGS_SOURCES

EVERYTHING = EventFilter()


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch, inbox_url: str) -> None:
    if inbox_url.startswith("postgresql"):
        add_postgres_programs(monkeypatch)


@contextmanager
def make_place(inbox_url: str, file: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the URL of a place without an inbox."""
    if inbox_url.startswith("sqlite"):
        yield f"sqlite:///{file}"
        return
    with make_database(request.getfixturevalue("postgres_server_url")) as url:
        yield url


@pytest.fixture
def restored_url(inbox_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    with make_place(inbox_url, tmp_path / "restored.db", request) as url:
        yield url


@pytest.fixture
def again_url(inbox_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    with make_place(inbox_url, tmp_path / "again.db", request) as url:
        yield url


def build(number: int) -> IncomingWebhook:
    return IncomingWebhook("demo", f"key-{number}", b'{"number": %d}' % number, "report.run")


def run_command(name: str, archive: Path, url: str) -> Result:
    return CliRunner().invoke(command, [name, str(archive)], env={"PUSHMETRICS_RECEIVER_INBOX": url})


def back_up(archive: Path, url: str) -> None:
    result = run_command("backup", archive, url)
    assert result.exit_code == 0, result.stderr


def open_restored(archive: Path, url: str) -> Inbox:
    result = run_command("restore", archive, url)
    assert result.exit_code == 0, result.stderr
    return Inbox(url)


def test_backup_made_while_events_arrive_has_all_that_came_before(
    inbox: Inbox, inbox_url: str, restored_url: str, tmp_path: Path
) -> None:
    archive, stopping = tmp_path / "a.tar", threading.Event()
    inbox.record([build(number) for number in range(300)])

    def keep_recording() -> None:
        number = 1000
        while not stopping.is_set():
            inbox.record([build(number)])
            number += 1

    writing = threading.Thread(target=keep_recording)
    writing.start()
    try:
        back_up(archive, inbox_url)
    finally:
        stopping.set()
        writing.join()
    restored = open_restored(archive, restored_url)
    events = restored.fetch_page(EVERYTHING, after=0, limit=100_000).events
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert len(events) >= 300
    assert events[299].body == b'{"number": 299}'
    assert not restored.record([build(5)])[0].is_new, "what it has stays a duplicate"
    restored.close()


def test_reader_ahead_of_an_older_backup_misses_no_new_event(
    inbox: Inbox, inbox_url: str, restored_url: str, tmp_path: Path
) -> None:
    archive = tmp_path / "a.tar"
    inbox.record([build(number) for number in range(10)])
    inbox.store_consumer("behind", 4)
    inbox.store_consumer("done", 10)
    inbox.store_consumer("sensor", 10, taken_by="dag.task")
    back_up(archive, inbox_url)
    inbox.record([build(number) for number in range(100, 105)])
    cursor_outside = inbox.fetch_last_id()
    assert cursor_outside == 15

    restored = open_restored(archive, restored_url)
    new = [item.id for item in restored.record([build(number) for number in range(200, 220)])]
    assert new == list(range(new[0], new[0] + 20))
    page = restored.fetch_page(EVERYTHING, after=cursor_outside, limit=100)
    assert [event.id for event in page.events] == new, "none has an id that the reader has seen"
    unread = restored.fetch_page(EVERYTHING, after=restored.fetch_consumer("behind").position, limit=100)
    assert [event.id for event in unread.events] == [5, 6, 7, 8, 9, 10, *new]
    assert {restored.fetch_consumer(name).position for name in ("done", "sensor")} == {10}
    assert restored.count_unread() == {"behind": 26, "done": 20, "sensor": 20}, "events, and not ids"
    assert restored.store_consumer("done", cursor_outside) is not None
    restored.close()


def test_second_restore_of_one_backup_uses_no_id_of_the_first(
    inbox: Inbox, inbox_url: str, tmp_path: Path
) -> None:
    if not inbox_url.startswith("sqlite"):
        pytest.skip("the same code chooses the id")
    archive = tmp_path / "a.tar"
    inbox.record([build(1)])
    back_up(archive, inbox_url)
    first = open_restored(archive, f"sqlite:///{tmp_path}/first.db")
    seen = first.record([build(number) for number in range(2, 50)])[-1].id
    first.close()
    second = open_restored(archive, f"sqlite:///{tmp_path}/second.db")
    assert second.record([build(60)])[0].id > seen
    second.close()


async def test_restored_inbox_counts_its_events_exactly(
    inbox: Inbox, inbox_url: str, restored_url: str, again_url: str, tmp_path: Path
) -> None:
    """Its ids jump: they do not say how many events there are."""
    inbox.record([build(number) for number in range(10)])
    inbox.delete_oldest(keep=timedelta(days=-1), limit=3)
    back_up(tmp_path / "a.tar", inbox_url)
    restored = open_restored(tmp_path / "a.tar", restored_url)
    counts = [restored.count_events()]
    restored.record([build(number) for number in range(20, 25)])
    counts.append(restored.count_events())
    back_up(tmp_path / "b.tar", restored_url)
    restored.close()
    again = open_restored(tmp_path / "b.tar", again_url)
    counts.append(again.count_events())
    again.record([build(number) for number in range(30, 34)])
    for limit in (2, 6, 5):
        again.delete_oldest(keep=timedelta(days=-1), limit=limit)
        counts.append(again.count_events())
    assert counts == [7, 12, 12, 14, 8, 3]
    again.close()
    app = create_app(ReceiverSettings(again_url, SETTINGS_SOURCES, READER_TOKEN))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://receiver",
        headers={"authorization": f"Bearer {READER_TOKEN}"},
    ) as client:
        answer = await client.get("/metrics")
    app.state.runtime.close()
    assert "pushmetrics_receiver_inbox_events 3.0\n" in answer.text


def test_clock_behind_the_ids_does_not_repeat_them() -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    assert choose_next_id(0, now) == 1_767_312_000_000_000
    assert choose_next_id(1_767_312_000_000_000, now) == 1_767_312_000_000_000 + SPARE_IDS


def test_existing_inbox_is_not_touched(inbox: Inbox, inbox_url: str, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    back_up(archive, inbox_url)
    inbox.record([build(1)])
    result = run_command("restore", archive, inbox_url)
    assert result.exit_code == 1
    assert "there is an inbox already" in result.stderr
    assert inbox.fetch_last_id() == 1


@pytest.mark.parametrize("name", ["backup", "restore"])
def test_the_inbox_must_be_named_since_that_of_airflow_is_not_in_the_current_folder(
    name: str, inbox: Inbox, inbox_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, folder = tmp_path / "a.tar", tmp_path / "home"
    folder.mkdir()
    back_up(archive, inbox_url)
    Inbox(f"sqlite:///{folder}/pushmetrics-inbox.db").close()  # left from before a move
    monkeypatch.chdir(folder if name == "backup" else tmp_path)
    monkeypatch.setenv("AIRFLOW_HOME", str(folder))
    before = sorted(tmp_path.rglob("*"))
    result = CliRunner().invoke(command, [name, str(archive if name == "restore" else tmp_path / "b.tar")])
    assert result.exit_code == 1
    assert "no inbox is named" in result.stderr
    assert '"sqlite:///${AIRFLOW_HOME:-$HOME/airflow}/pushmetrics-inbox.db"' in result.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_what_was_backed_up_and_restored_is_said_without_a_password(
    inbox: Inbox, inbox_url: str, restored_url: str, tmp_path: Path
) -> None:
    for name, url in (("backup", inbox_url), ("restore", restored_url)):
        result = run_command(name, tmp_path / "a.tar", url)
        url_parts = make_url(url)
        assert str(url_parts.database) in result.stdout
        assert f":{url_parts.password}@" not in result.stdout


def test_a_backup_or_a_file_set_aside_beside_it_does_not_stop_a_restore(
    sqlite_url: str, tmp_path: Path
) -> None:
    inbox = Inbox(sqlite_url)
    inbox.record([build(1)])
    archive = tmp_path / "inbox.db.tar"
    back_up(archive, sqlite_url)
    inbox.close()
    for file in list(tmp_path.glob("inbox.db*")):
        if file != archive:
            file.rename(file.with_name(f"{file.name}.broken"))
    restored = open_restored(archive, sqlite_url)
    assert restored.find_event(1) is not None
    restored.close()


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal", "-damaged"])
def test_a_rest_of_an_inbox_is_named(sqlite_url: str, tmp_path: Path, suffix: str) -> None:
    Inbox(sqlite_url).close()
    back_up(tmp_path / "a.tar", sqlite_url)
    rest = tmp_path / f"other.db{suffix}"
    rest.touch()
    result = run_command("restore", tmp_path / "a.tar", f"sqlite:///{tmp_path}/other.db")
    assert result.exit_code == 1
    assert f"a rest of one ({rest})" in result.stderr


def test_backup_of_nothing_is_refused_and_makes_nothing(restored_url: str, tmp_path: Path) -> None:
    result = run_command("backup", tmp_path / "a.tar", restored_url)
    assert result.exit_code == 1
    assert "there is no inbox" in result.stderr
    assert not (tmp_path / "a.tar").exists()
    assert not (tmp_path / "restored.db").exists()


def test_damaged_database_is_not_backed_up(sqlite_url: str, tmp_path: Path) -> None:
    inbox, file = Inbox(sqlite_url), tmp_path / "inbox.db"
    inbox.record([build(number) for number in range(2000)])
    inbox.close()
    with closing(sqlite3.connect(file)) as opened:
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(file.read_bytes())
    content[5 * 4096 : 9 * 4096] = b"\xff" * (4 * 4096)
    file.write_bytes(content)
    result = run_command("backup", tmp_path / "a.tar", sqlite_url)
    assert result.exit_code == 1
    assert "damaged" in result.stderr or "malformed" in result.stderr, result.output
    assert not (tmp_path / "a.tar").exists()


async def test_waiting_reader_wakes_up_after_a_jump_of_the_ids(
    app: Starlette, reader: httpx.AsyncClient, inbox: Inbox, inbox_url: str
) -> None:
    """The inbox was restored while the receiver ran: it must not look at each of the ids in between."""
    waiting = asyncio.create_task(reader.get("/events?after=0&wait=60"))
    await asyncio.sleep(2)
    jumped = choose_next_id(0, datetime.now(UTC))
    with inbox._begin_write() as connection:
        connection.execute(state.update().values(last_event_id=jumped))
    inbox.record([build(1)])
    answer = await asyncio.wait_for(waiting, 55)
    assert [event["id"] for event in answer.json()["events"]] == [jumped + 1]
