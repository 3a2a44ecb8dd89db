"""What a query writes to disk is deleted, also when its process is killed."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_pushmetrics.service.datasources.duckdb.spill import (
    PREFIX,
    build_prefix,
    delete_unused_folders,
    make_spill_folder,
)
from tests.integration.service.conftest import run_parts

HOLD = """
import sys
from pathlib import Path
from airflow_provider_pushmetrics.service.datasources.duckdb.spill import make_spill_folder
with make_spill_folder(Path(sys.argv[1])) as folder:
    (folder / "spilled").write_bytes(b"x")
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_folder_of_a_living_process_is_kept_and_that_of_a_killed_one_deleted(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder, make_spill_folder(tmp_path) as own:
        assert holder.stdout is not None
        folder = Path(holder.stdout.readline().strip())
        delete_unused_folders(tmp_path)
        assert (folder / "spilled").exists()
        holder.kill()
        holder.wait()
        delete_unused_folders(tmp_path)
        assert list(tmp_path.iterdir()) == [own]
    assert list(tmp_path.iterdir()) == []
    delete_unused_folders(tmp_path / "none")


@pytest.mark.parametrize("host", ["another-host", f"{socket.gethostname()}-2", "a/b"])
def test_folder_of_another_host_is_kept(tmp_path: Path, host: str) -> None:
    """Its lock may not be seen here, on a share of two machines."""
    foreign = tmp_path / f"{build_prefix(host)}left"
    foreign.mkdir()
    delete_unused_folders(tmp_path)
    assert foreign.exists()


def test_worker_deletes_at_its_start_what_a_killed_one_has_left(tmp_path: Path) -> None:
    left = tmp_path / "temp" / f"{PREFIX}left"
    left.mkdir(parents=True)
    (left / "duckdb_temp_storage-0.tmp").write_bytes(b"x")
    with run_parts(tmp_path):
        assert not left.exists()
