"""Restoring to PostgreSQL while a receiver starts on the same database."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import OperationalError

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.receiver.backup import restore
from airflow_provider_pushmetrics.receiver.inbox.recording import record
from airflow_provider_pushmetrics.receiver.inbox.rejections import Rejection
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from tests.fakes.archive_reading import act_when_an_archive_is_read
from tests.fakes.postgres import make_database
from tests.fakes.postgres_programs import add_postgres_programs
from tests.fakes.waiting import wait_until
from tests.integration.receiver.test_backup import EVERYTHING, back_up, build, run_command

pytestmark = pytest.mark.postgres


@contextmanager
def after_the_tables_are_looked_for(act: Callable[[], object]) -> Iterator[None]:
    """Act in the middle of a restore: no table was there, and none is there yet."""

    due = [act]

    def begin(*arguments: Any) -> None:
        if due and "pg_class" in arguments[2]:
            due.pop()()

    event.listen(Engine, "after_cursor_execute", begin)
    yield
    event.remove(Engine, "after_cursor_execute", begin)


def accept_an_event(url: str) -> None:
    inbox = Inbox(url)
    inbox.record([build(1000)])
    inbox.close()


def reject_a_webhook(url: str) -> None:
    inbox = Inbox(url)
    inbox.store_rejections([Rejection(datetime.now(UTC), "demo", "", 401, "refused", "")])
    inbox.close()


@pytest.mark.parametrize(("act", "events"), [(accept_an_event, 1), (reject_a_webhook, 0)])
def test_restore_leaves_the_inbox_of_a_receiver_that_starts_meanwhile_alone(
    postgres_url: str,
    postgres_server_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[str], None],
    events: int,
) -> None:
    add_postgres_programs(monkeypatch)
    inbox = Inbox(postgres_url)
    inbox.record([build(number) for number in range(3)])
    back_up(tmp_path / "a.tar", postgres_url)
    inbox.close()
    with make_database(postgres_server_url) as url:
        with after_the_tables_are_looked_for(partial(act, url)):
            result = run_command("restore", tmp_path / "a.tar", url)
        assert result.exit_code == 1
        assert "a receiver has started meanwhile" in " ".join(result.stderr.split())
        assert "empty now" not in result.stderr
        other = Inbox(url)
        assert len(other.fetch_page(EVERYTHING, after=0, limit=10).events) == events
        other.close()


def test_receiver_that_starts_while_a_backup_is_loaded_accepts_nothing_before_its_end(
    postgres_url: str, postgres_server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_postgres_programs(monkeypatch)
    inbox = Inbox(postgres_url)
    inbox.record([build(number) for number in range(3)])
    back_up(tmp_path / "a.tar", postgres_url)
    inbox.close()
    loads, goes_on = tmp_path / "loads", tmp_path / "goes-on"
    real = shutil.which("pg_restore")
    program = tmp_path / "programs" / "pg_restore"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\ntouch {loads}\nwhile [ ! -e {goes_on} ]; do sleep 0.05; done\nexec {real} "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    with make_database(postgres_server_url) as url, ThreadPoolExecutor(1) as pool, ExitStack() as stack:
        restoring = pool.submit(run_command, "restore", tmp_path / "a.tar", url)
        wait_until(loads.exists, "the load")
        other = stack.enter_context(closing(Inbox(url)))
        try:
            with other._engine.connect() as impatient:
                impatient.execute(text("SET lock_timeout = '200ms'"))
                with pytest.raises(OperationalError):
                    record(impatient, [build(1000)])
        finally:
            goes_on.touch()
        assert restoring.result().exit_code == 0
        (accepted,) = other.record([build(1000)])
        assert accepted.id > 10**15
        assert [each.id for each in other.fetch_page(EVERYTHING, after=0, limit=10).events][:3] == [1, 2, 3]


def test_second_restore_to_a_database_is_refused_and_the_first_one_is_whole(
    postgres_url: str, postgres_server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_postgres_programs(monkeypatch)
    with closing(Inbox(postgres_url)) as inbox:
        inbox.record([build(number) for number in range(3)])
    back_up(tmp_path / "a.tar", postgres_url)
    with make_database(postgres_server_url) as url:

        def restore_too() -> None:
            with pytest.raises(
                PushMetricsConfigurationError, match="another restore to this database is running"
            ):
                restore(url, tmp_path / "a.tar")

        act_when_an_archive_is_read(monkeypatch, restore_too)
        result = run_command("restore", tmp_path / "a.tar", url)
        assert result.exit_code == 0, result.output
        with closing(Inbox(url)) as other:
            assert len(other.fetch_page(EVERYTHING, after=0, limit=10).events) == 3
