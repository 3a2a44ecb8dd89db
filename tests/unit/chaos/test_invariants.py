"""The judge of the databases finds every fault: a check that cannot fail proves nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.chaos.invariants import INVARIANTS, DagRunRow, DeliveryRow, EventUse, Evidence, Post, judge

DAG, EVENT_DAG = "a_dag", "a_dag_of_events"
SOUND = Evidence(
    wanted_dag_runs=frozenset({(DAG, "one"), (DAG, "two")}),
    dag_runs=(
        DagRunRow(DAG, "one", "success"),
        DagRunRow(DAG, "two", "success"),
        DagRunRow(EVENT_DAG, "three", "success"),
    ),
    claimed_runs=(1, 2, 3),
    report_runs={1: "success", 2: "success", 3: "success"},
    deliveries=tuple(DeliveryRow(run, acknowledged=True) for run in (1, 2, 3)),
    posts=(Post("a", 10), Post("b", 20), Post("c", 30), Post("b", 45)),
    faults=((20.5, 45.5),),
    inbox=(1, 2, 3),
    uses=frozenset(EventUse(EVENT_DAG, run) for run in (2, 3)),
    event_dags={EVENT_DAG: 2},
    outlet_events={7: True},
    unfinished=(),
)
"""
Two Dag runs and a call ran a report each, and the events of the later two started a Dag. A worker was
frozen in the middle of a delivery, which another one sent again.
"""


def find_violated(evidence: Evidence) -> set[str]:
    return {name for name, violations in judge(evidence).items() if violations}


def test_nothing_is_wrong_where_all_is_well() -> None:
    assert find_violated(SOUND) == set()
    assert set(judge(SOUND)) == set(INVARIANTS)


FAULTS = {
    "a Dag run that failed": (
        replace(SOUND, dag_runs=(*SOUND.dag_runs, DagRunRow(DAG, "four", "failed"))),
        "Dag and report runs failed",
    ),
    "a report run that failed": (
        replace(SOUND, report_runs={**SOUND.report_runs, 3: "failed"}),
        "Dag and report runs failed",
    ),
    "a run that a task started besides its own": (
        replace(
            SOUND,
            report_runs={**SOUND.report_runs, 4: "success"},
            deliveries=(*SOUND.deliveries, DeliveryRow(4, acknowledged=True)),
            inbox=(*SOUND.inbox, 4),
            uses=SOUND.uses | {EventUse(EVENT_DAG, 4)},
        ),
        "report runs doubled",
    ),
    "a run that two tasks took for theirs": (
        replace(SOUND, claimed_runs=(1, 2, 3, 3)),
        "report runs doubled",
    ),
    "a run that a task names and that is not there": (
        replace(SOUND, claimed_runs=(1, 2, 3, 4)),
        "report runs doubled",
    ),
    "an event that was acknowledged and is in no inbox": (
        replace(SOUND, inbox=(2, 3)),
        "events lost",
    ),
    "an event that was not acknowledged and is in no inbox": (
        replace(SOUND, deliveries=(DeliveryRow(1, acknowledged=False), *SOUND.deliveries[1:]), inbox=(2, 3)),
        "events lost",
    ),
    "a run that ended without an event": (
        replace(SOUND, deliveries=SOUND.deliveries[1:], inbox=(2, 3)),
        "events lost",
    ),
    "an event that was received twice": (replace(SOUND, inbox=(1, 1, 2, 3)), "events lost"),
    "an event that was recorded twice": (
        replace(SOUND, deliveries=(*SOUND.deliveries, SOUND.deliveries[0])),
        "events lost",
    ),
    "a delivery that was sent again before any fault": (
        replace(SOUND, posts=(*SOUND.posts, Post("a", 20))),
        "deliveries repeated without a fault",
    ),
    "a delivery that was sent again after all faults": (
        replace(SOUND, posts=(*SOUND.posts, Post("d", 50), Post("d", 51))),
        "deliveries repeated without a fault",
    ),
    "a Dag run that was asked for and is not there": (
        replace(SOUND, dag_runs=SOUND.dag_runs[1:]),
        "Dags not started",
    ),
    "an event that started no Dag": (
        replace(SOUND, uses=frozenset({EventUse(EVENT_DAG, 2)})),
        "Dags not started",
    ),
    "an event that started another Dag only": (
        replace(SOUND, uses=frozenset({EventUse(EVENT_DAG, 2), EventUse(DAG, 3)})),
        "Dags not started",
    ),
    "an asset that a task updated and that started no Dag": (
        replace(SOUND, outlet_events={7: False}),
        "Dags not started",
    ),
    "a task that is not over": (replace(SOUND, unfinished=("task t is queued",)), "stuck"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_by_its_invariant_alone(name: str) -> None:
    evidence, invariant = FAULTS[name]
    assert find_violated(evidence) == {invariant}


def test_a_system_in_which_nothing_ran_is_no_proof() -> None:
    nothing = replace(
        SOUND, dag_runs=(), claimed_runs=(), report_runs={}, deliveries=(), inbox=(), uses=frozenset()
    )
    assert find_violated(nothing) == {"Dags not started"}
