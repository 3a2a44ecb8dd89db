"""
Run a report with many parameters in one task, a few at a time, and fail if one of the runs failed.

A mapped task for each run costs a worker start each; this task holds one worker slot for all of them. Start
it by hand. The connection is ``pushmetrics_default``, with an API token.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.hooks.async_client import PushMetricsAsyncClient

log = logging.getLogger("airflow.task")

REPORT_ID = 1
AT_ONCE = 10
FIRST_POLL_SECONDS, POLL_SECONDS = 0.5, 5.0
LIMIT_SECONDS = 3600.0


# [START howto_async_client_pushmetrics_many_runs]
async def run_report(
    client: PushMetricsAsyncClient, places: asyncio.Semaphore, key: str, parameters: dict[str, Any]
) -> dict[str, Any]:
    """Run a report, wait for the run to end, and return how it ended; an error ends this run only."""
    run_id, status = None, None
    try:
        async with places, asyncio.timeout(LIMIT_SECONDS):
            started = await client.trigger_report(REPORT_ID, parameters, idempotency_key=key)
            if (run_id := started.run_id) is None:
                raise PushMetricsError("PushMetrics does not return the id of the run it started.")
            run, pause = await client.fetch_run(run_id), FIRST_POLL_SECONDS
            while not run.status.is_finished:
                await asyncio.sleep(pause)
                run, pause = await client.fetch_run(run_id), min(2 * pause, POLL_SECONDS)
            status = run.status.value
        error = None if status == "success" else await find_reason(client, run_id)
    except (PushMetricsError, TimeoutError) as failure:
        error = str(failure) or f"the run did not end within {LIMIT_SECONDS:g} s"
    return {"parameters": parameters, "run_id": run_id, "status": status, "error": error}


async def find_reason(client: PushMetricsAsyncClient, run_id: int) -> str | None:
    """Find why a run did not succeed: the errors of its blocks, if PushMetrics tells them."""
    blocks = await client.fetch_run_blocks(run_id)
    return "; ".join(f"{block.name}: {block.error}" for block in blocks if block.error) or None


async def run_all(key: str, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Run a report with each set of parameters, ``AT_ONCE`` at a time."""
    places = asyncio.Semaphore(AT_ONCE)
    async with PushMetricsAsyncClient.open("pushmetrics_default") as client:
        runs = [run_report(client, places, f"{key}-{n}", wanted) for n, wanted in enumerate(requests)]
        return await asyncio.gather(*runs)


@task(retries=2, retry_delay=timedelta(seconds=10))
def run_reports(requests: list[dict[str, Any]], run_id: Any = None, dag: Any = None) -> list[dict[str, Any]]:
    """Run all; the keys are the same in each try, so a later try continues with the runs of this one."""
    runs = asyncio.run(run_all(f"{dag.dag_id}-{run_id}", requests))
    unknown = [run for run in runs if run["status"] is None]
    for run in unknown:
        log.error("%s: run %s: %s", run["parameters"], run["run_id"], run["error"])
    if unknown:
        raise PushMetricsError(f"The end of {len(unknown)} of {len(runs)} runs is unknown: see the log.")
    return runs


@task
def refuse_failures(runs: list[dict[str, Any]]) -> int:
    """Fail, with every run that did not succeed, so that no failure is hidden among many successes."""
    failed = [run for run in runs if run["status"] != "success"]
    for run in failed:
        log.error("%s: run %s: %s", run["parameters"], run["run_id"], run["error"] or run["status"])
    if failed:
        raise PushMetricsError(f"{len(failed)} of {len(runs)} runs did not succeed; the log lists them.")
    return len(runs)


# [END howto_async_client_pushmetrics_many_runs]

with DAG(
    dag_id="example_pushmetrics_many_runs",
    schedule=None,
    tags=["example", "pushmetrics"],
    doc_md=__doc__,
):
    months = [{"origin": origin, "month": month} for origin in ("JFK", "LGA") for month in range(1, 4)]
    refuse_failures(run_reports(months))
