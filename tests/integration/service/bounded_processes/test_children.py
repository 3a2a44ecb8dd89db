"""Child processes with limits: what they have of their parent, and what becomes of their calls."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psutil
import pytest

from airflow_provider_pushmetrics.service.bounded_processes.child import (
    CallFailedError,
    ChildDiedError,
    ChildProcess,
)
from airflow_provider_pushmetrics.service.bounded_processes.pool import MAX_IDLE, ChildPool
from airflow_provider_pushmetrics.service.bounded_processes.server import MAX_REASON_LENGTH
from tests.fakes.bounded_child import MIB, MODULE
from tests.fakes.waiting import wait_until

TIMEOUT_SECONDS = 120.0


@pytest.fixture(scope="module")
def shared_pool() -> Iterator[ChildPool]:
    pool = ChildPool(MODULE, max_children=4, max_frame_bytes=MIB)
    yield pool
    pool.close()


@pytest.fixture
def pool(shared_pool: ChildPool) -> ChildPool:
    return shared_pool


def encode(name: str, argument: Any = None) -> bytes:
    return json.dumps([name, argument]).encode()


def call(pool: ChildPool, name: str, argument: Any = None) -> list[bytes]:
    with pool.lease() as child:
        return [bytes(piece) for piece in child.call(encode(name, argument))]


def wait_until_gone(pid: int) -> None:
    wait_until(lambda: not (psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE))
    # A child of this process is a zombie before all its threads have ended; its exit code is left to others.
    with suppress(ChildProcessError):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def test_child_has_an_empty_environment_and_no_file_of_its_parent(
    pool: ChildPool, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("PUSHMETRICS_SERVICE_SECRET_KEYS", "s3cret")
    pool.close_idle()
    with socket.create_server(("127.0.0.1", 0)), open(tmp_path / "secret", "w") as secret:
        os.set_inheritable(secret.fileno(), True)
        (said,) = call(pool, "describe")
    found = json.loads(said)
    assert set(found["environment"]) <= {"LC_CTYPE"}  # which Python itself sets
    assert [name for name in found["files"] if name.startswith("socket:")] == [found["files"][-1]]
    assert not any("secret" in name for name in found["files"])


def test_child_gets_the_variables_that_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    pool = ChildPool(MODULE, max_children=1, max_frame_bytes=MIB, variables=["TZ", "ABSENT"])
    (said,) = call(pool, "describe")
    pool.close()
    assert set(json.loads(said)["environment"]) - {"LC_CTYPE"} == {"TZ"}


def test_one_child_answers_one_call_after_the_other(pool: ChildPool) -> None:
    pids = {json.loads(call(pool, "describe")[0])["pid"] for _ in range(5)}
    assert len(pids) == 1
    assert call(pool, "echo", "ä" * 100_000) == [("ä" * 100_000).encode()]


def test_refused_call_says_why_and_leaves_its_child_for_the_next(pool: ChildPool) -> None:
    (before,) = call(pool, "describe")
    with pytest.raises(CallFailedError, match=r"^not this one\.$"):
        call(pool, "refuse", "not this one.")
    assert json.loads(call(pool, "describe")[0])["pid"] == json.loads(before)["pid"]


def test_reason_of_a_refused_call_is_bounded(pool: ChildPool) -> None:
    with pytest.raises(CallFailedError) as refused:
        call(pool, "refuse", "ä" * 500_000)
    assert str(refused.value) == "ä" * MAX_REASON_LENGTH


def test_memory_beyond_the_limit_fails_the_call_and_not_the_child(pool: ChildPool) -> None:
    assert call(pool, "allocate", 16) == [str(16 * MIB).encode()]
    with pytest.raises(CallFailedError, match="out of memory"):
        call(pool, "allocate", 2000)
    assert call(pool, "allocate", 16) == [str(16 * MIB).encode()]


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_answer_of_a_child_that_crashes_is_never_complete(pool: ChildPool, number: signal.Signals) -> None:
    with pool.lease() as child, pytest.raises(ChildDiedError, match=number.name):
        assert [bytes(piece) for piece in child.call(encode("crash", number))] == [b"half of it"]
    assert call(pool, "echo", "next") == [b"next"]


def test_answer_of_a_child_that_exits_without_an_end_is_never_complete(pool: ChildPool) -> None:
    with pytest.raises(ChildDiedError, match="exit code 0"):
        call(pool, "leave", 0)
    assert call(pool, "echo", "next") == [b"next"]


def test_child_that_sends_too_much_at_once_is_killed(pool: ChildPool) -> None:
    with pool.lease() as child, pytest.raises(ChildDiedError, match="larger than 1,048,576 bytes"):
        list(child.call(encode("flood", 2)))
    assert not child.is_alive()


@pytest.mark.parametrize("action", ["spin", "freeze"])
def test_call_that_never_ends_is_killed_from_another_thread(pool: ChildPool, action: str) -> None:
    with pool.lease() as child:
        pieces = child.call(encode(action))
        assert int(bytes(next(pieces))) == child.pid
        threading.Timer(0.1, child.kill, ["it takes too long"]).start()
        with pytest.raises(ChildDiedError, match="it takes too long"):
            next(pieces)
    assert not child.is_alive()


def test_call_that_is_given_up_kills_its_child(pool: ChildPool) -> None:
    with pool.lease() as child:
        next(child.call(encode("spin")))
    assert not child.is_alive()


def test_child_that_died_while_it_was_idle_is_replaced_and_no_call_fails(pool: ChildPool) -> None:
    pid = json.loads(call(pool, "describe")[0])["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until_gone(pid)
    assert json.loads(call(pool, "describe")[0])["pid"] != pid


def test_child_that_keeps_too_much_memory_ends_behind_its_answer(pool: ChildPool) -> None:
    (pid,) = call(pool, "grow", 600)
    wait_until_gone(int(pid))
    assert call(pool, "echo", "next") == [b"next"]


def test_calls_beyond_the_limit_wait_and_can_be_stopped_meanwhile() -> None:
    pool = ChildPool(MODULE, max_children=1, max_frame_bytes=MIB)
    with pool.lease():
        with pytest.raises(ChildDiedError, match="waited"), pool.lease(lambda: True):
            pass
        waiting = threading.Thread(target=call, args=(pool, "echo", "later"))
        waiting.start()
    waiting.join(TIMEOUT_SECONDS)
    assert not waiting.is_alive()
    pool.close()


def test_few_children_are_kept_and_a_closed_pool_keeps_none() -> None:
    pool = ChildPool(MODULE, max_children=MAX_IDLE + 1, max_frame_bytes=MIB)
    children: list[ChildProcess] = []
    with pool.lease() as first, pool.lease() as second, pool.lease() as third:
        children += first, second, third
        assert pool.read_memory() > 0
    assert [child.is_alive() for child in children] == [False, True, True]
    pool.close()
    assert not any(child.is_alive() for child in children)
    with pool.lease() as late:
        pass
    assert not late.is_alive()


def test_largest_child_is_killed_with_a_reason() -> None:
    pool = ChildPool(MODULE, max_children=2, max_frame_bytes=MIB)
    with pool.lease() as small, pool.lease() as large:
        list(small.call(encode("grow", 1)))
        list(large.call(encode("grow", 200)))
        assert pool.kill_largest("too large")
        with pytest.raises(ChildDiedError, match="too large"):
            list(large.call(encode("echo", "")))
        assert list(small.call(encode("echo", "x")))
    pool.close()
    assert not pool.kill_largest("there is none")


def test_child_that_was_killed_is_not_given_to_the_next_call() -> None:
    pool = ChildPool(MODULE, max_children=2, max_frame_bytes=MIB)
    for _ in range(5):
        with pool.lease() as child:
            list(child.call(encode("grow", 200)))
        assert pool.kill_largest("memory is short")  # it takes time to end
        with pool.lease() as other:
            assert list(other.call(encode("echo", "x")))
        assert other is not child
    pool.close()


def test_child_outlives_the_thread_that_needed_it_first(pool: ChildPool) -> None:
    pool.close_idle()
    thread = threading.Thread(target=call, args=(pool, "echo", "first"))
    thread.start()
    thread.join(TIMEOUT_SECONDS)
    with pool.lease() as child:
        time.sleep(0.2)  # a signal would have come by now
        assert child.is_alive()
        assert list(child.call(encode("echo", "next"))) == [b"next"]


only_linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not kill what is stopped")

PARENT = """
import sys
from airflow_provider_pushmetrics.service.bounded_processes.child import ChildProcess
child = ChildProcess("tests.fakes.bounded_child", 1000)
print(bytes(next(child.call(b'["%s", null]'))).decode(), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("action", ["spin", "describe", pytest.param("freeze", marks=only_linux)])
def test_child_ends_when_its_parent_is_killed_whether_it_works_waits_or_is_stopped(action: str) -> None:
    code = PARENT.replace("%s", action).replace("1000", "1000000")
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        said = parent.stdout.readline()
        pid = int(said) if action != "describe" else int(json.loads(said)["pid"])
        assert psutil.pid_exists(pid)
        parent.kill()
    wait_until_gone(pid)


def test_program_that_cannot_be_loaded_is_an_error_and_not_a_wait() -> None:
    child = ChildProcess("tests.fakes.no_such_module", MIB)
    with pytest.raises(ChildDiedError, match="exit code 1"):
        list(child.call(encode("echo", "x")))
    child.close()


def test_idle_child_uses_no_processor_time(pool: ChildPool) -> None:
    with pool.lease() as child:
        list(child.call(encode("echo", "x")))
        process = psutil.Process(child.pid)
        before = sum(process.cpu_times()[:2])
        time.sleep(0.5)
        assert sum(process.cpu_times()[:2]) - before <= 0.01
