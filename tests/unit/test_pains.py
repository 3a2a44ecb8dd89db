"""
What users of such providers suffer from, and the test that shows that ours do not.

Each row is a kind of report that was filed against other providers, or against Airflow, more than once.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
PROVIDER = "integration/provider"

PAINS: dict[int, tuple[str, str, str]] = {
    1: (
        "A crash or a retry starts the job again",
        "acceptance/test_killed_processes.py",
        "test_a_task_whose_process_is_killed_has_started_one_run_after_all",
    ),
    2: (
        "A trigger that starts the job starts it again when the triggerer restarts",
        "acceptance/test_killed_processes.py",
        "test_a_triggerer_that_is_killed_costs_the_task_that_waits_in_it_nothing",
    ),
    3: (
        "One bad answer to a poll fails the task",
        f"{PROVIDER}/test_pains.py",
        "test_a_blip_while_waiting_costs_neither_the_task_nor_a_second_run",
    ),
    4: (
        "Events are lost between the broker and Airflow",
        f"{PROVIDER}/test_triggers.py",
        "test_an_event_that_was_not_stored_comes_again_after_a_restart",
    ),
    5: (
        "Each of many waits polls by itself",
        f"{PROVIDER}/test_wait_hub.py",
        "test_a_thousand_waits_make_one_request_at_a_time",
    ),
    6: (
        "A sensor overlooks what came before it, or holds a worker until it comes",
        f"{PROVIDER}/test_sensor.py",
        "test_an_event_that_came_before_the_sensor_began_counts_for_a_known_run",
    ),
    7: (
        "A deferred task that is killed leaves its job running",
        f"{PROVIDER}/test_crash_safety.py",
        "test_killing_a_deferred_task_cancels_its_run",
    ),
    8: (
        "A trigger blocks the event loop of all",
        f"{PROVIDER}/test_pains.py",
        "test_no_trigger_blocks_the_event_loop_of_all",
    ),
    9: (
        "A large answer takes all the memory",
        f"{PROVIDER}/test_pains.py",
        "test_a_large_result_is_never_in_memory",
    ),
    10: (
        "Secrets stand in logs",
        "acceptance/test_secrets.py",
        "test_no_log_holds_a_secret",
    ),
    11: (
        "A cleared task does not run again",
        "acceptance/test_killed_processes.py",
        "test_clearing_a_task_runs_the_report_again_unless_it_is_to_reuse_its_run",
    ),
    12: (
        "A plugin's routes are open to everybody",
        "integration/receiver/endpoints/test_refusals.py",
        "test_every_route_but_ingest_and_liveness_asks_for_the_reader_token",
    ),
    13: (
        "A wait goes on for days, because it compares times or expects an order",
        f"{PROVIDER}/test_event_orders.py",
        "test_the_sensor_returns_the_same_run_in_every_order",
    ),
    14: (
        "Settings do not reach the trigger",
        f"{PROVIDER}/test_pains.py",
        "test_no_parameter_of_a_building_block_about_waiting_is_forgotten",
    ),
    15: (
        "A retry gets the failed run of an earlier try as its own",
        f"{PROVIDER}/test_operator.py",
        "test_a_try_after_a_failed_run_starts_another_one",
    ),
    16: (
        "A sensor's timeout is another error when it is deferred",
        f"{PROVIDER}/test_sensor.py",
        "test_a_timeout_is_the_same_error_on_the_worker_and_deferred",
    ),
}


@cache
def list_tests(path: str) -> frozenset[str]:
    tree = ast.parse((TESTS / path).read_text("utf-8"))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(function.name for function in functions)


@pytest.mark.parametrize("number", sorted(PAINS))
def test_each_pain_has_a_test_named_for_the_fact(number: int) -> None:
    _, path, name = PAINS[number]
    assert name in list_tests(path)


def test_no_pain_is_left_out_and_each_has_a_test_of_its_own() -> None:
    assert sorted(PAINS) == list(range(1, 17))
    assert len({name for _, _, name in PAINS.values()}) == len(PAINS)
