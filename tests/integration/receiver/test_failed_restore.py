"""A restore of an inbox that fails at each of its steps leaves no inbox that gives an id again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, select, text

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.receiver.backup import restore
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from airflow_provider_pushmetrics.receiver.inbox.tables import PREFIX, events, state
from tests.fakes.archive_reading import act_when_an_archive_is_read
from tests.fakes.fault_proxy import MOMENTS, Cut, FaultProxy, Moment, Statement
from tests.fakes.postgres import make_database
from tests.fakes.postgres_programs import add_postgres_programs
from tests.integration.receiver.test_backup import EVERYTHING, back_up, build, run_command


def fail_to_name(*_: Any, **__: Any) -> None:
    raise OSError(28, "No space left on device")


def test_inbox_that_cannot_be_named_leaves_nothing_behind(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Inbox(sqlite_url)) as inbox:
        inbox.record([build(1)])
    back_up(tmp_path / "a.tar", sqlite_url)
    target = f"sqlite:///{tmp_path / 'new' / 'restored.db'}"
    (tmp_path / "new").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", fail_to_name)
        failed = run_command("restore", tmp_path / "a.tar", target)
    assert failed.exit_code == 1
    assert "the inbox was not restored: [Errno 28] No space left on device" in failed.stderr
    assert list((tmp_path / "new").iterdir()) == []
    assert run_command("restore", tmp_path / "a.tar", target).exit_code == 0


def test_receiver_that_starts_meanwhile_keeps_its_file(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Inbox(sqlite_url)) as inbox:
        inbox.record([build(1)])
    back_up(tmp_path / "a.tar", sqlite_url)
    target, link = tmp_path / "restored.db", os.link

    def name(source: Any, place: Any) -> None:
        Path(place).write_bytes(b"the receiver's")
        link(source, place)

    monkeypatch.setattr(os, "link", name)
    failed = run_command("restore", tmp_path / "a.tar", f"sqlite:///{target}")
    assert failed.exit_code == 1
    assert "a receiver has started meanwhile" in failed.stderr
    assert target.read_bytes() == b"the receiver's"


def test_restore_to_a_file_that_another_one_has_written_meanwhile_is_refused(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Inbox(sqlite_url)) as inbox:
        inbox.record([build(1)])
    archive, target = tmp_path / "a.tar", f"sqlite:///{tmp_path / 'restored.db'}"
    back_up(archive, sqlite_url)
    act_when_an_archive_is_read(monkeypatch, lambda: restore(target, archive))
    refused = run_command("restore", archive, target)
    assert refused.exit_code == 1
    assert "or another restore was first" in " ".join(refused.stderr.split())
    with closing(Inbox(target)) as inbox:
        assert len(inbox.fetch_page(EVERYTHING, after=0, limit=10).events) == 1


def list_cuts(sent: Mapping[Statement, int]) -> list[Cut]:
    """Choose the statements that move the ids, load the events and end the restore."""

    def choose(last: str, moment: Moment, *others: str) -> Cut:
        found = [
            statement
            for statement in sent
            if statement[-1].startswith(last)
            and all(any(other in one for one in statement) for other in others)
        ]
        return Cut(found[-1], sent[found[-1]], moment)

    move, load = f"UPDATE {state.name}", "COPY"
    return [
        choose(move, "after"),
        *(choose("COMMIT", moment, move) for moment in MOMENTS),
        *(choose("COMMIT", moment, load) for moment in MOMENTS),
        *(choose("COMMIT", moment, "FOR UPDATE") for moment in MOMENTS),
    ]


@pytest.mark.slow
@pytest.mark.postgres
def test_database_that_breaks_off_at_a_statement_never_has_events_without_the_gap_in_the_ids(
    postgres_url: str, postgres_server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_postgres_programs(monkeypatch)
    archive = tmp_path / "a.tar"
    with closing(Inbox(postgres_url)) as inbox:
        inbox.record([build(number) for number in range(3)])
    back_up(archive, postgres_url)
    with make_database(postgres_server_url) as url, FaultProxy.open(url) as proxy:
        proxy.arm()
        restore(proxy.url, archive)
        cuts = list_cuts(proxy.disarm())
    for cut in cuts:
        with make_database(postgres_server_url) as url, FaultProxy.open(url) as proxy:
            proxy.arm(cut)
            with pytest.raises(PushMetricsConfigurationError, match=f"drop its tables .{PREFIX}_"):
                restore(proxy.url, archive)
            proxy.disarm()
            engine = create_engine(url)
            with engine.connect() as connection:
                last_id = connection.execute(select(state.c.last_event_id)).scalar_one()
                found = len(connection.execute(select(events.c.id)).all())
            assert found in (0, 3), str(cut)
            assert last_id > 10**15 or not found, str(cut)
            with engine.begin() as connection:
                for name in inspect(connection).get_table_names():
                    connection.execute(text(f'DROP TABLE "{name}"'))
            engine.dispose()
            if cut is not cuts[-1]:
                continue
            restore(url, archive)
            with closing(Inbox(url)) as inbox:
                assert len(inbox.fetch_page(EVERYTHING, after=0, limit=10).events) == 3
                assert inbox.record([build(1000)])[0].id > 10**15
