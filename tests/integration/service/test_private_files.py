"""Whatever a run leaves behind, or has in between, is for its owner only, whatever the umask."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from airflow_provider_pushmetrics.receiver.settings import ReceiverSettings, SourceSettings
from airflow_provider_pushmetrics.testing.servers import run_receiver, run_service
from tests.fakes.receiver_requests import DELIVERY_URL
from tests.fakes.receiver_server import SENDER_TOKEN, start_receiver
from tests.fakes.service_process import run_service as run_service_process
from tests.fakes.waiting import LIMIT_SECONDS, wait_until

SPILLING = """
SELECT a.range AS n, md5(a.range::VARCHAR) || md5((a.range + 1)::VARCHAR) AS text
FROM range(4000000) a ORDER BY text
"""
"""Sorts more than the memory that the service gives it."""


@pytest.fixture(autouse=True)
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


class Walk:
    """Remembers the modes of all files and folders that were below a folder while it watched."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.modes: dict[str, int] = {}

    def __enter__(self) -> Walk:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self.look()

    def look(self) -> None:
        for folder, names, files in os.walk(self._root):
            for name in (*names, *files):
                path = Path(folder, name)
                with suppress(FileNotFoundError):
                    self.modes[str(path.relative_to(self._root))] = stat.S_IMODE(path.lstat().st_mode)

    def check(self, *expected: str) -> None:
        """Check what was seen; each of the expected texts must be in some name."""
        open_to_others = {name: oct(mode) for name, mode in self.modes.items() if mode & 0o077}
        assert open_to_others == {}
        assert [text for text in expected if not any(text in name for name in self.modes)] == []

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            self.look()


def run_everything(client: httpx.Client) -> None:
    """Run a report with a large result, a query that spills to disk, and a download of each format."""
    source = client.get("/api/v1/database/").raise_for_status().json()["result"][0]["id"]
    blocks = [
        {"type": "sql", "name": "sorted", "content": {"sql": SPILLING, "database_id": source}},
        {"type": "text", "name": "note", "content": {"text": "{{ sorted.data | length }}"}},
    ]
    body = {"name": "Large", "blocks": blocks}
    report = client.post("/api/v1/report/", json=body).raise_for_status().json()["result"]
    path = f"/api/v1/report/{report['id']}/run/noteflow"
    run_id = client.post(path).raise_for_status().json()["result"]["run_id"]
    url = f"/api/reports/{report['id']}/run/{run_id}"
    wait_until(lambda: client.get(url).status_code == 200)
    query = client.get(url).json()["queries"][0]
    for kind in ("text/csv", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"):
        client.get(query["query_result"], headers={"Accept": kind}, timeout=LIMIT_SECONDS)


@pytest.mark.slow
def test_what_a_service_writes_is_private(tmp_path: Path) -> None:
    arguments = ("--demo", "--max-query-memory-bytes", "67108864")
    data = tmp_path / "data"
    with Walk(tmp_path) as walk, run_service_process(data, *arguments, token=None) as service:
        service.wait_until_ready()
        token = (data / "bootstrap-token").read_text("ascii").strip()
        service.client.headers["Authorization"] = f"Bearer {token}"
        run_everything(service.client)
        walk.look()
    walk.modes = {name: mode for name, mode in walk.modes.items() if name != "data.log"}  # the test's
    walk.check(
        "service.db", "service.db-wal", "service.db-shm", ".turn", ".next", "worker-lock", "worker-id",
        "secret-key", "bootstrap-token", "results/", ".parquet", "duckdb_temp", "flights.duckdb",
    )  # fmt: skip


def test_what_a_service_in_another_process_writes_is_private(tmp_path: Path) -> None:
    with Walk(tmp_path) as walk, run_service(tmp_path / "new" / "data") as service:
        client = httpx.Client(base_url=service.url, headers={"Authorization": f"Bearer {service.api_token}"})
        with client:
            report = (
                client.post(
                    "/api/v1/report/",
                    json={"name": "r", "blocks": [{"type": "text", "name": "n", "content": {"text": "x"}}]},
                )
                .raise_for_status()
                .json()["result"]
            )
            client.post(f"/api/v1/report/{report['id']}/run/noteflow").raise_for_status()
        walk.look()
    walk.check("service.db-wal", "service.db-shm", "secret-key", "sources", "results")


def test_what_a_receiver_writes_is_private(tmp_path: Path) -> None:
    with Walk(tmp_path) as walk, start_receiver(f"sqlite:///{tmp_path}/inbox.db") as receiver:
        httpx.post(receiver.delivery_url, json={"event": "x"}).raise_for_status()
        walk.look()
    walk.check("inbox.db", "inbox.db-wal", "inbox.db-shm")


def test_what_a_receiver_in_airflow_writes_is_private(tmp_path: Path) -> None:
    """It is mounted in Airflow's API server, whose umask is not ours."""
    settings = ReceiverSettings(
        f"sqlite:///{tmp_path}/inbox.db", (SourceSettings("demo", token=SENDER_TOKEN),), "r" * 43
    )
    with Walk(tmp_path) as walk, run_receiver(settings) as url:
        httpx.post(url + DELIVERY_URL, json={"event": "x"}).raise_for_status()
        walk.look()
    walk.check("inbox.db", "inbox.db-wal", "inbox.db-shm")
    assert os.umask(0) == 0, "the umask of the process is as it was"


def test_folder_and_file_that_exist_keep_their_modes(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o750)
    with run_service(data):
        pass
    assert stat.S_IMODE(data.stat().st_mode) == 0o750
