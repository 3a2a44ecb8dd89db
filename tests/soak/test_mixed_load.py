"""Half an hour of mixed load on the service and a receiver: nothing is lost, and nothing grows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from functools import partial

import pytest

from airflow_provider_pushmetrics.service.storage.encryption import Cipher, load_secret_keys
from benchmarks.installation import Installation, run_installation
from tests.fakes.service_reports import make_report, parameter, sql, text
from tests.fakes.waiting import wait_until
from tests.soak.conftest import Show, Size
from tests.soak.flatness import HeldResources
from tests.soak.mixed_load import MixedLoad

ROWS = "SELECT range + {{ n }} AS n, 'flight ' || range AS t, range / 7 AS x FROM range(200)"
SAMPLE_SECONDS = 3.0
WARM_UP_RUNS = 60
"""Before the first sample: what is loaded at the first time is no growth."""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def installation(request: pytest.FixtureRequest) -> Iterator[Installation]:
    """Give a service, its worker and a receiver, as processes."""
    is_postgres = request.param == "postgres"
    with run_installation(
        request.getfixturevalue("postgres_server_url") if is_postgres else None
    ) as installation:
        yield installation


def make_load(installation: Installation) -> MixedLoad:
    """Make a report with two queries, and one that fails."""
    bench = installation.bench
    cipher = Cipher(*load_secret_keys(bench.folder))
    report = make_report(
        bench.database,
        cipher,
        bench.folder,
        n=parameter(1, "integer"),
        rows=sql(ROWS),
        total=sql(f"SELECT sum(n) AS total FROM ({ROWS})"),
        words=text("{{ rows.data[0].n }} to {{ rows.data[-1].n }}: {{ total.data[0].total }}"),
    )
    failing = make_report(bench.database, cipher, bench.folder, broken=sql("SELECT * FROM nowhere"))
    return MixedLoad(installation.service, installation.receiver, report, failing)


def list_kinds(installation: Installation) -> list[HeldResources]:
    """List the kinds of processes of which is watched what they hold."""
    worker = installation.worker
    kinds = [HeldResources(kind, partial(list, [one])) for kind, one in installation.processes.items()]
    return [*kinds, HeldResources("children of the worker", lambda: worker.children(recursive=True))]


def test_half_an_hour_of_mixed_load_loses_nothing_and_lets_nothing_grow(
    installation: Installation, size: Size, show: Show
) -> None:
    mixed, held = make_load(installation), list_kinds(installation)
    tasks = mixed.list_tasks()
    with ThreadPoolExecutor(len(tasks)) as pool:
        working = [pool.submit(task) for task in tasks]
        try:
            wait_until(
                lambda: mixed.count_runs() >= WARM_UP_RUNS or any(map(Future.done, working)), "runs", 1200
            )
            watch(held, working, size.mixed_seconds)
        finally:
            mixed.is_ended.set()
        for task in working:
            task.result()
    for one in held:
        show(one.describe())
    figures = f"{mixed.count_runs():,} runs, {mixed.requests:,} requests, {mixed.streams:,} streams"
    show(f"{size.mixed_seconds:g} s: {figures}")
    check_runs(mixed)
    check_events(mixed)
    assert [growth for one in held for growth in one.find_growth()] == []


def watch(held: Sequence[HeldResources], working: Sequence[Future[None]], seconds: float) -> None:
    """Read now and then what is held, until the time is over or one of the callers fails."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for one in held:
            one.read()
        if wait(working, timeout=SAMPLE_SECONDS, return_when=FIRST_EXCEPTION).done:
            break


def check_runs(mixed: MixedLoad) -> None:
    """Check that all runs have ended as they should, and that there are no others."""
    with mixed.open_service() as client:
        runs = {
            row["id"]: row["status"]
            for page in range(len(mixed.statuses) // 1000 + 1)
            for row in client.get(
                "/api/v1/noteflow_run/", params={"q": f"(page:{page},page_size:1000)"}
            ).json()["result"]
        }
    assert runs == mixed.statuses


def check_events(mixed: MixedLoad) -> None:
    """Check that the inbox has one event of each run."""
    arrived, cursor = Counter[int](), 0
    with mixed.open_feed() as client:
        while (page := client.get("/events", params={"after": cursor, "limit": 1000}).json())["events"]:
            cursor = page["cursor"]
            arrived.update(
                int(event["body"]["report_notebook_outputs"].rpartition("/")[2]) for event in page["events"]
            )
    assert arrived == Counter(dict.fromkeys(mixed.statuses, 1))
