"""A restore syncs the folders of what it restored before it says that it is done: names can be lost too."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from alembic.script import ScriptDirectory

from airflow_provider_pushmetrics.receiver.backup import back_up
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from airflow_provider_pushmetrics.service.storage.database import MIGRATIONS, Database
from airflow_provider_pushmetrics.serving.backups.archive import Contents, write_archive
from airflow_provider_pushmetrics.serving.backups.sqlite_copy import COPY_NAME
from tests.fakes.interpreter import SERVER_PYTHON

RESTORE = """
import os, sys
noted = open(sys.argv.pop(1), "w", buffering=1)
def note(event, arguments):
    if event in ("os.link", "os.rename"):
        print(os.path.abspath(arguments[1]), file=noted)
    elif event == "open" and isinstance(arguments[0], (str, os.PathLike)) and os.path.isdir(arguments[0]):
        print(os.path.abspath(arguments[0]), file=noted)
from airflow_provider_pushmetrics.{part}.cli import app
sys.addaudithook(note)
app()
"""


def restore(part: str, folder: Path, *arguments: str, **variables: str) -> list[str]:
    """Restore in a process of its own; list what got a name, and the folders that were opened, in order."""
    noted = folder / "noted"
    command = [SERVER_PYTHON, "-c", RESTORE.format(part=part), str(noted), "restore", *arguments]
    done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return noted.read_text().splitlines()


def is_synced(noted: list[str], file: Path, folder: Path) -> bool:
    return str(folder) in noted[noted.index(str(file)) :]


def test_folder_of_a_restored_inbox_is_synced(tmp_path: Path) -> None:
    Inbox(f"sqlite:///{tmp_path}/inbox.db").close()
    archive, place = tmp_path / "a.tar", tmp_path / "place"
    back_up(f"sqlite:///{tmp_path}/inbox.db", archive)
    place.mkdir()
    url = f"sqlite:///{place}/restored.db"
    noted = restore("receiver", tmp_path, str(archive), PUSHMETRICS_RECEIVER_INBOX=url)
    assert is_synced(noted, place / "restored.db", place)


def test_folders_of_a_restored_service_are_synced(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/service.db")
    database.migrate()
    database.close()
    schema = ScriptDirectory(str(MIGRATIONS)).get_current_head() or ""
    archive, data = tmp_path / "a.tar", tmp_path / "data"
    contents = Contents("service", "sqlite", schema, datetime.now(UTC).isoformat())
    with write_archive(archive, contents) as writer:
        writer.add_path(COPY_NAME, tmp_path / "service.db")
        writer.add_path("results/run-1/a.parquet", tmp_path / "service.db")
    noted = restore("service", tmp_path, str(archive), "--data", str(data))
    result = data / "results" / "run-1" / "a.parquet"
    for folder in (result.parent, data / "results", data):
        assert is_synced(noted, result, folder)
    assert is_synced(noted, data / "service.db", data)
