"""When which process is killed or frozen, and which Dag is run: a pure function of a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Action = Literal["kill", "freeze"]

DAGS = (
    "example_pushmetrics_approval",
    "example_pushmetrics_check_results",
    "example_pushmetrics_deadline_alert",
    "example_pushmetrics_mapped",
    "example_pushmetrics_result_assets",
    "example_pushmetrics_sensor",
    "example_pushmetrics_to_object_storage",
    "example_pushmetrics_trigger_report",
)
"""The example Dags that are started by hand, but for one. The others are started by events."""
MANY_RUNS_DAG = "example_pushmetrics_many_runs"
"""The one that runs the report six times, each of which starts three Dags."""


@dataclass(frozen=True)
class Size:
    """
    How much there is of everything.

    :param processes: How many processes of each kind run; those of one process are killed, never frozen.
    :param kills: How often each kind is killed.
    :param freezes: How often each kind is frozen.
    :param freeze_seconds: For how long: longer than every lease.
    :param recovery_seconds: How long after a fault its kind is left alone, for its restart.
    :param gap_seconds: The time between faults.
    :param rounds: How often each Dag is started by hand.
    :param many_runs: How often the Dag of many runs is started.
    :param calls: How many runs are triggered without a Dag, which start Dags by their events.
    """

    processes: Mapping[str, int]
    kills: int
    freezes: int
    freeze_seconds: float
    recovery_seconds: float
    gap_seconds: float
    rounds: int
    many_runs: int
    calls: int


@dataclass(frozen=True, order=True)
class Fault:
    """
    One process is killed, or frozen for a while.

    :param at: Seconds after the beginning.
    :param process: Its number among those of its kind, from 1.
    :param seconds: How long it is frozen.
    """

    at: float
    action: Action
    kind: str
    process: int
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """The name of the process."""
        return f"{self.kind}-{self.process}"


@dataclass(frozen=True, order=True)
class Start:
    """
    A Dag is run, or a report by a call of its trigger.

    :param at: Seconds after the beginning.
    :param dag_id: The Dag; empty for a call.
    :param key: The id of the Dag run, or the idempotency key of the call.
    """

    at: float
    dag_id: str
    key: str


@dataclass(frozen=True)
class Schedule:
    """
    Everything that is done to the system, and when.

    :param seconds: When the last fault is over.
    """

    seed: int
    faults: tuple[Fault, ...]
    starts: tuple[Start, ...]
    seconds: float = field(init=False)

    def __post_init__(self) -> None:
        end = max((fault.at + fault.seconds for fault in self.faults), default=0.0)
        object.__setattr__(self, "seconds", end)


def build_schedule(seed: int, size: Size) -> Schedule:
    """Build the schedule of a seed: the same one each time."""
    chance = random.Random(seed)
    faults = tuple(_place_faults(chance, size))
    end = max((fault.at + fault.seconds for fault in faults), default=0.0)
    return Schedule(seed, faults, tuple(_place_starts(chance, size, end)))


def _place_faults(chance: random.Random, size: Size) -> Iterator[Fault]:
    """
    Place the faults one after the other, a random one each time.

    No two processes of a kind are out at once: the others take over, and have the time to.
    """
    waiting = list(_list_wanted(size))
    free_at = dict.fromkeys(size.processes, 0.0)
    now = 0.0
    while waiting:
        now += size.gap_seconds * chance.uniform(0.75, 1.25)
        possible = [wanted for wanted in waiting if free_at[wanted[1]] <= now]
        if not possible:
            continue
        action, kind = chosen = chance.choice(possible)
        waiting.remove(chosen)
        seconds = size.freeze_seconds if action == "freeze" else 0.0
        free_at[kind] = now + seconds + size.recovery_seconds
        yield Fault(round(now, 1), action, kind, chance.randint(1, size.processes[kind]), seconds)


def _list_wanted(size: Size) -> Iterator[tuple[Action, str]]:
    for kind, count in size.processes.items():
        for _ in range(size.kills):
            yield "kill", kind
        for _ in range(size.freezes if count > 1 else 0):
            yield "freeze", kind


def _place_starts(chance: random.Random, size: Size, end: float) -> Iterator[Start]:
    """Spread the starts over the time of the faults."""
    names = [*DAGS * size.rounds, *[MANY_RUNS_DAG] * size.many_runs, *[""] * size.calls]
    chance.shuffle(names)
    for number, name in enumerate(names):
        yield Start(round(end * number / len(names), 1), name, f"chaos-{number}")
