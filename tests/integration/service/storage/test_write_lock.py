"""Turns to write: of threads, of processes, and after a process that was killed."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from airflow_provider_pushmetrics.service.storage.write_lock import WriteLock

HOLDER = """
import sys
from pathlib import Path
from airflow_provider_pushmetrics.service.storage.write_lock import WriteLock
with WriteLock(Path(sys.argv[1])):
    print("mine", flush=True)
    sys.stdin.read()
"""


def start_holder(path: Path) -> subprocess.Popen[str]:
    """Start a process that takes the turn and keeps it until its stdin ends."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "mine\n"
    return holder


def take(turn: WriteLock, taken: threading.Event) -> threading.Thread:
    def wait() -> None:
        with turn:
            taken.set()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "service.db"


def test_one_thread_at_a_time_has_the_turn(path: Path) -> None:
    turn, taken = WriteLock(path), threading.Event()
    with turn:
        thread = take(turn, taken)
        assert not taken.wait(0.1)
    thread.join(120)
    assert taken.is_set()
    turn.close()


@pytest.mark.parametrize("is_killed", [False, True])
def test_turn_of_another_process_ends_with_it_however_it_ends(path: Path, is_killed: bool) -> None:
    with start_holder(path) as holder:
        turn, taken = WriteLock(path), threading.Event()
        thread = take(turn, taken)
        assert not taken.wait(0.1)
        if is_killed:
            holder.kill()
        else:
            assert holder.stdin is not None
            holder.stdin.close()
        thread.join(120)
        assert taken.is_set()
    turn.close()


def test_who_has_much_to_write_lets_others_have_their_turn(path: Path) -> None:
    busy, patient = WriteLock(path), WriteLock(path)  # as two processes would have them
    stopping, turns = threading.Event(), 0

    def write_all_the_time() -> None:
        nonlocal turns
        while not stopping.is_set():
            with busy:
                turns += 1

    thread = threading.Thread(target=write_all_the_time)
    thread.start()
    try:
        for _ in range(20):
            before = turns
            with patient:
                pass
            assert turns - before < 5000, "the busy one has had turn after turn"
    finally:
        stopping.set()
        thread.join(120)
    busy.close()
    patient.close()
