"""``python -m tests.chaos``: what ``make chaos`` runs."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.table import Table

from demo.display import Display
from demo.errors import DemoError, Interrupted, ignore_signals, raise_at_signals
from demo.folder import DemoFolder
from demo.processes import adopt_orphans, reap_children
from tests.chaos.evidence import read_evidence, read_posts
from tests.chaos.invariants import Evidence, judge, list_repeated
from tests.chaos.load import Load
from tests.chaos.schedule import Schedule, Size, build_schedule
from tests.chaos.system import System

SERVERS = dict.fromkeys(("postgres", "pooler", "redis", "balancer", "dag-processor"), 1)
SERVICES = ("receiver", "web", "worker", "scheduler", "api-server", "triggerer", "celery-worker")
FREEZE_SECONDS = 25
"""Longer than every lease: the longest is 20 s, that of a task that gives no sign of life."""
SIZES = {
    "quick": Size(
        processes={**SERVERS, **dict.fromkeys(SERVICES, 2)},
        kills=1,
        freezes=1,
        freeze_seconds=FREEZE_SECONDS,
        recovery_seconds=10,
        gap_seconds=6,
        rounds=1,
        many_runs=0,
        calls=1,
    ),
    "full": Size(
        processes={**SERVERS, **dict.fromkeys(SERVICES, 2)},
        kills=2,
        freezes=2,
        freeze_seconds=FREEZE_SECONDS,
        recovery_seconds=20,
        gap_seconds=12,
        rounds=3,
        many_runs=1,
        calls=4,
    ),
}
ON_THE_WAY = ("postgres", "pooler", "balancer", "receiver", "worker")
"""What a delivery needs until it is recorded: a fault of these may let it be sent again."""
SETTLE_SECONDS = 900
"""How long the work may take to end: a delivery that failed twice waits for five minutes."""
LOOK_SECONDS = 2.0


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description="Kill and freeze every process of the distributed set-up while Dags run, and check"
        " afterwards that nothing failed, came twice, got lost or is stuck. The folder .chaos has the logs.",
    )
    parser.add_argument("--size", choices=SIZES, default="full", help="how long and how much")
    parser.add_argument("--seed", type=int, help="replay the schedule of this seed; a random one by default")
    return parser.parse_args(arguments)


@contextmanager
def open_system(folder: DemoFolder, counts: Mapping[str, int]) -> Iterator[System]:
    """Prepare a system, and stop all of its processes when the block ends, however it ends."""
    with folder.lock():
        scratch = Path(tempfile.mkdtemp(prefix="pushmetrics-chaos-"))
        scratch.chmod(0o755)  # PostgreSQL may run as another user
        system = System(folder, scratch, counts)
        system.processes.stop()  # what an earlier one left, that was killed
        folder.clear()
        try:
            yield system
        finally:
            ignore_signals()
            system.processes.stop()
            shutil.rmtree(scratch, ignore_errors=True)


def run_chaos(system: System, schedule: Schedule, settle_seconds: float, display: Display) -> Evidence:
    """
    Start everything, do what the schedule says, wait for the end of all work, and read the databases.

    :raises DemoError: if the system does not start, cannot be called, or does not log what is to be judged.
    """
    load = Load(system)
    with display.step("Start the set-up") as step:
        system.start()
        step.note = f"{len(system.fleet.members)} processes"
    with display.step("Wait until events start Dags"):
        load.prepare(lambda: is_watched(system))
    with display.step(f"Run {len(schedule.starts)} Dags and reports, with {len(schedule.faults)} faults"):
        inject(system, schedule, load, display)
    with display.step("Wait for the end of all work") as step:
        evidence, step.note = settle(system, schedule, load, settle_seconds)
    if not evidence.posts:
        raise DemoError("The balancer's log has no webhook, so repeated deliveries cannot be judged.")
    return evidence


def is_watched(system: System) -> bool:
    """Return whether an event has started each of the Dags that wait for one."""
    evidence = read_evidence(system.postgres, (), ())
    return {use.dag_id for use in evidence.uses} >= evidence.event_dags.keys()


def inject(system: System, schedule: Schedule, load: Load, display: Display) -> None:
    """Kill and freeze processes while the load works, until both are through."""
    thread = load.start(schedule.starts)
    began = time.monotonic()
    waiting = list(schedule.faults)
    while waiting or thread.is_alive() or system.fleet.has_frozen():
        now = time.monotonic() - began
        while waiting and waiting[0].at <= now:
            fault = waiting.pop(0)
            display.print_line(f"      {now:5.1f} s  {fault.action} {fault.name}")
            system.fleet.apply(fault)
        system.fleet.supervise()
        time.sleep(0.2)
    if load.fault is not None:
        raise load.fault


def settle(system: System, schedule: Schedule, load: Load, limit_seconds: float) -> tuple[Evidence, str]:
    """Wait until nothing is missing any more, as long as that may take."""
    wanted = [(start.dag_id, start.key) for start in schedule.starts if start.dag_id]
    deadline = time.monotonic() + limit_seconds
    while True:
        system.fleet.supervise()
        load.approve()
        posts = read_posts(system.folder.logs / "balancer-1.log")
        faults = [(began, ended) for kind, began, ended in system.fleet.faults if kind in ON_THE_WAY]
        evidence = read_evidence(system.postgres, wanted, load.called.values(), posts, faults)
        found = judge(evidence)
        if not found["stuck"] and not found["Dags not started"]:
            return evidence, f"{len(evidence.dag_runs)} Dag runs, {len(evidence.report_runs)} report runs"
        if time.monotonic() > deadline:
            return evidence, "it did not come"
        time.sleep(LOOK_SECONDS)


def show_result(
    system: System, schedule: Schedule, evidence: Evidence, found: Mapping[str, list[str]], display: Display
) -> None:
    """Print the table of faults, and that of the invariants."""
    table = Table("kind", "processes", "kills", "freezes", "ends by itself", title=f"Seed {schedule.seed}")
    members = system.fleet.members.values()
    for kind in dict.fromkeys(member.kind for member in members):
        rows = [member for member in members if member.kind == kind]
        sums = (len(rows), sum(row.killed for row in rows), sum(row.frozen for row in rows))
        ends = sum(row.ended - row.killed for row in rows)
        table.add_row(kind, *map(str, sums), str(ends))
    display.console.print(table)
    table = Table("invariant", "violations")
    for name, violations in found.items():
        table.add_row(name, str(len(violations)))
    display.console.print(table)
    repeated = len(list_repeated(evidence.posts))
    display.print_line(f"{len(evidence.posts)} webhooks were acknowledged, {repeated} of them once more.")
    for name, violations in found.items():
        for violation in violations:
            display.print_line(f"{name}: {violation}")


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command.

    :return: The exit code: 0 if all invariants hold, 1 if not, 128 plus its number after a signal.
    """
    options = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    display, size = Display(), SIZES[options.size]
    seed = random.SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    schedule = build_schedule(seed, size)
    display.print_line(f"Seed {seed}: `make chaos SIZE={options.size} SEED={seed}` replays this schedule.")
    adopt_orphans()
    try:
        raise_at_signals()
        with open_system(DemoFolder(Path(".chaos").resolve()), size.processes) as system:
            evidence = run_chaos(system, schedule, SETTLE_SECONDS, display)
            found = judge(evidence)
            show_result(system, schedule, evidence, found, display)
    except DemoError as error:
        display.show_failure(str(error), error.log)
        return 1
    except Interrupted as interruption:
        (number,) = interruption.args
        display.print_line(f"Ended early, by {number.name}.")
        return 128 + int(number)
    finally:
        reap_children()
    return 1 if any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
