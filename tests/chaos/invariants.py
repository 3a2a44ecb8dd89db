"""What must hold after all faults, judged by what the databases say: pure functions of what was read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

FINISHED = ("success", "failed", "cancelled")


@dataclass(frozen=True)
class DagRunRow:
    """A Dag run in Airflow's database."""

    dag_id: str
    run_id: str
    state: str


@dataclass(frozen=True)
class DeliveryRow:
    """
    An event and a subscription that it is to be delivered to, in the service's database.

    :param run_id: The report's run that the event tells of.
    :param acknowledged: Whether an attempt was answered by a status 2xx.
    """

    run_id: int
    acknowledged: bool


@dataclass(frozen=True)
class Post:
    """
    A webhook that the receiver acknowledged, as the balancer saw it.

    :param delivery: Its ``webhook-id``.
    :param at: When it began, in seconds since 1970.
    """

    delivery: str
    at: float


@dataclass(frozen=True)
class EventUse:
    """
    What became of an event: a Dag run that it started.

    :param dag_id: The Dag that the event starts.
    :param run_id: The report's run that the event tells of.
    """

    dag_id: str
    run_id: int


@dataclass(frozen=True)
class Evidence:
    """
    What the databases say.

    :param wanted_dag_runs: The Dag runs that were asked for: Dag and id.
    :param dag_runs: All Dag runs.
    :param claimed_runs: The report runs that tasks and calls name as theirs, as often as they do.
    :param report_runs: The status of each report run in the service.
    :param deliveries: What the service has to deliver.
    :param posts: What was delivered, again for each time.
    :param faults: When faults began and ended that may cut a delivery off.
    :param inbox: The report runs of the events in the inbox, one for each event.
    :param uses: Which Dags have had which event.
    :param event_dags: The Dags that every event must start, and the first report run whose event must.
    :param outlet_events: The events of assets that tasks updated, and whether a Dag run has had each.
    :param unfinished: What is not over, by what it is.
    """

    wanted_dag_runs: frozenset[tuple[str, str]]
    dag_runs: tuple[DagRunRow, ...]
    claimed_runs: tuple[int, ...]
    report_runs: Mapping[int, str]
    deliveries: tuple[DeliveryRow, ...]
    posts: tuple[Post, ...]
    faults: tuple[tuple[float, float], ...]
    inbox: tuple[int, ...]
    uses: frozenset[EventUse]
    event_dags: Mapping[str, int]
    outlet_events: Mapping[int, bool]
    unfinished: tuple[str, ...]


def find_failed(evidence: Evidence) -> list[str]:
    """Find Dag runs and report runs that failed."""
    dags = [f"{row.dag_id} {row.run_id}" for row in evidence.dag_runs if row.state == "failed"]
    runs = [
        f"report run {run} is {status}"
        for run, status in evidence.report_runs.items()
        if status in FINISHED and status != "success"
    ]
    return dags + runs


def find_doubled(evidence: Evidence) -> list[str]:
    """Find report runs that nobody asked for: a second one for a task, whose result names the other."""
    claims = Counter(evidence.claimed_runs)
    unclaimed = [
        f"report run {run} belongs to no task and no call" for run in evidence.report_runs if not claims[run]
    ]
    shared = [f"report run {run} was given to {count} tasks" for run, count in claims.items() if count > 1]
    missing = [f"report run {run} is not in the service" for run in claims if run not in evidence.report_runs]
    return unclaimed + shared + missing


def find_lost(evidence: Evidence) -> list[str]:
    """Find events that were not recorded, not received, or received more than once."""
    received = Counter(evidence.inbox)
    recorded = Counter(delivery.run_id for delivery in evidence.deliveries)
    ended = [run for run, status in evidence.report_runs.items() if status in FINISHED]
    found = [f"report run {run} has {recorded[run]} events" for run in ended if recorded[run] != 1]
    for delivery in evidence.deliveries:
        if received[delivery.run_id] == 0:
            answered = "an acknowledged" if delivery.acknowledged else "an"
            found.append(f"{answered} event of report run {delivery.run_id} is in no inbox")
    found += [
        f"the event of report run {run} is there {count} times"
        for run, count in received.items()
        if count > 1
    ]
    return found + [f"an event of report run {run} was never sent" for run in received if not recorded[run]]


def list_repeated(posts: Iterable[Post]) -> list[tuple[Post, Post]]:
    """List the webhooks that were acknowledged before, each with the one before it."""
    found, last = [], dict[str, Post]()
    for post in sorted(posts, key=lambda post: post.at):
        if post.delivery in last:
            found.append((last[post.delivery], post))
        last[post.delivery] = post
    return found


def find_unexplained(evidence: Evidence) -> list[str]:
    """Find webhooks that were sent again although no fault cut the first off."""
    return [
        f"{again.delivery} was acknowledged, and sent again {again.at - first.at:.0f} s later"
        for first, again in list_repeated(evidence.posts)
        if not any(began <= again.at and ended >= first.at for began, ended in evidence.faults)
    ]


def find_missed(evidence: Evidence) -> list[str]:
    """Find Dags that were not started: by a person, by an event, or by an asset of a task."""
    known = {(row.dag_id, row.run_id) for row in evidence.dag_runs}
    found = [f"{dag_id} {run_id} is not there" for dag_id, run_id in sorted(evidence.wanted_dag_runs - known)]
    for dag_id, first in evidence.event_dags.items():
        runs = [run for run in sorted(set(evidence.inbox)) if run >= first]
        missed = [run for run in runs if EventUse(dag_id, run) not in evidence.uses]
        found += [f"{dag_id} was not started by the event of report run {run}" for run in missed]
    return found + [
        f"asset event {event} started nothing" for event, used in evidence.outlet_events.items() if not used
    ]


def find_stuck(evidence: Evidence) -> list[str]:
    """Find what is not over."""
    return list(evidence.unfinished)


INVARIANTS: Mapping[str, Callable[[Evidence], Iterable[str]]] = {
    "Dag and report runs failed": find_failed,
    "report runs doubled": find_doubled,
    "events lost": find_lost,
    "deliveries repeated without a fault": find_unexplained,
    "Dags not started": find_missed,
    "stuck": find_stuck,
}


def judge(evidence: Evidence) -> dict[str, list[str]]:
    """Find all violations, by invariant."""
    return {name: list(find(evidence)) for name, find in INVARIANTS.items()}
