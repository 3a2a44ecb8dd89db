from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_provider_pushmetrics.demo.state import DemoState, find_state, hold_lock, write_state
from airflow_provider_pushmetrics.exceptions import DemoError


def test_what_was_noted_is_found(tmp_path: Path) -> None:
    state = DemoState.of_this_process("marker", kept=True, airflow_url="http://127.0.0.1:8080")
    write_state(tmp_path / "state.json", state)
    assert find_state(tmp_path / "state.json") == state


def test_only_its_owner_may_read_the_state(tmp_path: Path) -> None:
    write_state(tmp_path / "state.json", DemoState.of_this_process("marker"))
    assert (tmp_path / "state.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "[]", "{", '{"marker": "m", "colour": "red"}'])
def test_a_state_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    assert find_state(tmp_path / "state.json") is None


def test_no_state_is_none(tmp_path: Path) -> None:
    assert find_state(tmp_path / "state.json") is None


def test_the_leader_is_found_while_it_runs() -> None:
    leader = DemoState.of_this_process("marker").find_leader()
    assert leader is not None
    assert leader.pid == os.getpid()


def test_another_process_with_the_leaders_number_is_not_the_leader() -> None:
    state = DemoState.of_this_process("marker")
    assert replace(state, pid_started_at=state.pid_started_at - 3600).find_leader() is None


def test_a_folder_is_held_by_one_demo_at_a_time(tmp_path: Path) -> None:
    with (
        hold_lock(tmp_path / "lock"),
        pytest.raises(DemoError, match=r"a demo is already running in .*"),
        hold_lock(tmp_path / "lock"),
    ):
        pass


def test_a_folder_is_free_when_the_demo_has_ended(tmp_path: Path) -> None:
    with hold_lock(tmp_path / "lock"):
        pass
    with hold_lock(tmp_path / "lock"):
        pass
