"""
Write what this version leaves behind: python -m tests.upgrade. The data of a released version stays as it is.

A service runs a report twice, a receiver stores the events, and a watcher reads the first of them. Then the
service is replaced by one that executes nothing, and tasks defer that wait for a third run.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import ExitStack, aclosing
from pathlib import Path

import pytest
from airflow.serialization.serialized_objects import DagSerialization

from airflow_provider_pushmetrics import __version__
from airflow_provider_pushmetrics.service.results.files.base import OWNERS
from tests.fakes.postgres import run_postgres
from tests.fakes.service_reports import make_report, parameter, sql
from tests.fakes.waiting import wait_until
from tests.upgrade.deferred_tasks import UserDag, connect, import_class
from tests.upgrade.dumps import dump_database
from tests.upgrade.releases import FOLDER, KINDS, ROOT, Release, is_released
from tests.upgrade.servers import Place, Servers, make_place, run_inbox, run_servers

DAG = Path(__file__).with_name("user_dag.py")


def main(base: Path = FOLDER, changelog: Path = ROOT / "CHANGELOG.md") -> None:
    """
    Write the data of this version anew.

    :raises SystemExit: if this version was released.
    """
    if is_released(__version__, changelog.read_text("utf-8")):
        raise SystemExit(f"{__version__} was released: what it left behind stays as it is.")
    shutil.rmtree(base / __version__, ignore_errors=True)
    for kind in KINDS:
        write_release(Release(__version__, kind, base))
    shutil.copy(DAG, Release(__version__, KINDS[0], base).dag_file)


def write_release(release: Release) -> None:
    """Write what this version leaves behind on one kind of database."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server_url = None if release.kind == "sqlite" else stack.enter_context(run_postgres())
        place = stack.enter_context(make_place(release.kind, folder, server_url))
        monkeypatch = stack.enter_context(pytest.MonkeyPatch.context())
        with run_inbox(place) as receiver_url:
            with run_servers(place, receiver_url) as servers:
                write_runs(release, servers, monkeypatch)
            with run_servers(place, receiver_url, executes=False) as servers:
                write_deferred_tasks(release, servers, monkeypatch)
        release.service_dump.write_text(dump_database(place.service_url), "utf-8")
        release.inbox_dump.write_text(dump_database(place.inbox_url), "utf-8")
        copy_results(place, release)


def write_runs(release: Release, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the report twice, once with success, and read the event of the first run as a watcher does."""
    parts = servers.parts
    blocks = {
        "month": parameter(1, "integer"),
        "text": parameter("{}", "text"),
        "q": sql("SELECT {{ month }} AS month, json({{ text }}) AS checked"),
    }
    made = make_report(parts.database, parts.cipher, parts.settings.data_dir, "sqlite", **blocks)
    body = {"name": "receiver", "url": servers.delivery_url, "events": ["report.run"]}
    servers.client.post("/api/v1/webhook_subscription/", json=body).raise_for_status()
    answer = servers.client.post("/api/v1/access_token/", json={"name": "of a user"}).raise_for_status()
    first = servers.trigger(month=2)
    servers.wait_for_run(first)
    wait_until(lambda: len(servers.list_events()) == 1, "the event of the first run")
    second = servers.trigger(text="{")
    servers.wait_for_run(second)
    wait_until(lambda: len(servers.list_events()) == 2, "the event of the second run")
    assert (made.id, first, second) == (1, 1, 2), "the user's Dag names them"
    watch_first_event(servers, monkeypatch)
    release.write("facts", {"user_token": answer.json()["token"], "events": servers.list_events()})


def watch_first_event(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Store the position after the first event as the watcher of the user's Dag does."""
    dag = UserDag(DAG)
    connect(monkeypatch, servers.connection, dag.supervisor)
    classpath, kwargs = dag.load()["report_ran"].watchers[0].trigger.serialize()

    async def watch() -> list[int]:
        async with aclosing(import_class(classpath)(**kwargs).run()) as events:
            return [(await anext(events)).payload["id"] for _ in range(2)]  # the second is not confirmed

    assert asyncio.run(watch()) == [1, 2]


def write_deferred_tasks(release: Release, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Defer tasks that wait for a third run, and serialize the Dag."""
    kept = []
    for task_id in ("run_report", "wait_for_run"):
        dag = UserDag(DAG)
        connect(monkeypatch, servers.connection, dag.supervisor)
        kept.append(dag.defer(task_id))
    release.write("deferred", kept)
    serialized = DagSerialization.to_dict(UserDag(DAG).load()["dag"])
    serialized["dag"] |= {"fileloc": "/dags/user_dag.py", "_processor_dags_folder": "/dags"}
    release.write("dag", serialized)


def copy_results(place: Place, release: Release) -> None:
    """Copy the files of results, without the name of this machine."""
    shutil.rmtree(release.results, ignore_errors=True)
    shutil.copytree(place.folder / "results", release.results)
    for mark in (release.results / OWNERS).iterdir():
        mark.write_text("since a moment, by a machine\n", "utf-8")


if __name__ == "__main__":
    main()
