"""What the tab shows of a run, fetched from PushMetrics."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from pydantic import BaseModel

from airflow_provider_pushmetrics.client import calls, reports
from airflow_provider_pushmetrics.client.models import (
    BlockOutcome,
    QueryOutcome,
    Run,
    RunBlock,
    RunLogLine,
    RunOutputs,
    RunStatus,
)
from airflow_provider_pushmetrics.client.protocol import Call, T
from airflow_provider_pushmetrics.client.retry_policy import ONE_ATTEMPT
from airflow_provider_pushmetrics.compat import redact_secrets
from airflow_provider_pushmetrics.event_ids import find_outputs_ids, find_query_run_id, find_result_ids
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsApiError,
    PushMetricsConfigurationError,
    PushMetricsNotFoundError,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.hooks.async_client import PushMetricsAsyncClient
from airflow_provider_pushmetrics.links.pushmetrics import build_report_url

SHOWN_RUN_LOG_LINES = 500
MAX_SHOWN_BLOCKS = 200
MAX_TEXT_CHARACTERS = 10_000
SQL = "sql"


@dataclass(frozen=True)
class RunReference:
    """
    The run that a task's link identifies.

    :param url: The link.
    :param report_id: Its report, as written in the link.
    :param query_id: The query, if it ran outside of a run of its report; ``run_id`` is then the query run's.
    :param named_report_id: The number or uid of the report that the task names; None if it names none.
    """

    url: str
    report_id: str
    run_id: int
    query_id: str | None = None
    named_report_id: str | None = None


def parse_reference(url: str, named_report_id: str | None = None) -> RunReference | None:
    """Parse a link to a run, without its query; None if it is none."""
    url = url.partition("#")[0].partition("?")[0]
    outputs = find_outputs_ids(url)
    if outputs is not None:
        return RunReference(url, *outputs, named_report_id=named_report_id)
    result, run_id = find_result_ids(url), find_query_run_id(url)
    if result is None or run_id is None:
        return None
    return RunReference(url, result.report_id, run_id, result.query_id, named_report_id)


def check_reference(client: PushMetricsAsyncClient, reference: RunReference) -> None:
    """
    Check what is known without a request: the token, the link's origin, and the number of its report.

    Whether a number and a uid are the same report, only PushMetrics says: see :func:`fetch_checked_run`.

    :raises PushMetricsConfigurationError: if there is no API token, or the link is of another report.
    :raises PushMetricsUntrustedUrlError: if the API token must not be sent to the link's origin.
    """
    settings = client.settings
    if not settings.api_token:
        raise PushMetricsConfigurationError(
            f"connection {settings.conn_id!r} has no API token, so nothing can be fetched of run"
            f" {reference.run_id}: set its password."
        )
    client.credentials.refuse_untrusted(reference.url)
    named, linked = map(_normalize, (reference.named_report_id or reference.report_id, reference.report_id))
    is_decided = reference.query_id is not None or named.isdecimal() == linked.isdecimal()
    if is_decided and named != linked:
        raise PushMetricsConfigurationError(
            f"the link of this task leads to report {reference.report_id!r}, but the task names report"
            f" {reference.named_report_id!r}. Run the task again to store its link."
        )


def _normalize(report_id: str) -> str:
    """Write a report's number as PushMetrics does: Airflow renders a number with leading zeros as it is."""
    return (report_id.lstrip("0") or "0") if report_id.isdecimal() else report_id


async def fetch_view(client: PushMetricsAsyncClient, reference: RunReference) -> dict[str, Any]:
    """
    Fetch a run: its state, its blocks, its log.

    :raises PushMetricsError: if it cannot be fetched.
    """
    base = client.settings.base_url
    links = {"url": reference.url, "report_url": build_report_url(base, reference.report_id)}
    ids = {"id": str(reference.run_id), "report_id": reference.report_id, "query_id": reference.query_id}
    if reference.query_id is not None:
        return {**ids, **links, "status": None, "is_finished": True, "blocks": [], "log": []}
    run = await fetch_checked_run(client, reference)
    is_finished = run.status.is_finished
    blocks = await _try(client, calls.fetch_run_blocks(client.credentials, reference.run_id, ONE_ATTEMPT))
    outputs = await fetch_outputs(client, reference) if is_finished else None
    log = await _try(
        client,
        calls.fetch_run_logs(
            client.credentials, reference.run_id, limit=SHOWN_RUN_LOG_LINES, policy=ONE_ATTEMPT
        ),
    )
    facts = describe(run, "name", "start_time", "end_time", "error")
    return {
        **ids,
        **links,
        **facts,
        "parameters": describe_parameters(run),
        "status": run.status.value,
        "is_finished": is_finished,
        "blocks": merge_blocks(blocks or (), outputs),
        "log": None if log is None else [_describe_line(line) for line in log],
        "is_log_cut": log is not None and len(log) >= SHOWN_RUN_LOG_LINES,
    }


async def fetch_checked_run(client: PushMetricsAsyncClient, reference: RunReference) -> Run:
    """
    Fetch a run, and check that it is of the report in the link and of the report that the task names.

    Another server has other runs, and whoever may write XComs could have written the link.

    :raises PushMetricsApiError: if it cannot be fetched.
    :raises PushMetricsConfigurationError: if it is of another report.
    """
    try:
        run = await client.call(calls.fetch_run(client.credentials, reference.run_id, ONE_ATTEMPT))
    except PushMetricsNotFoundError as error:
        raise PushMetricsNotFoundError(
            f"run {reference.run_id} of report {reference.report_id!r} no longer exists in PushMetrics, or"
            f" the API token of connection {client.settings.conn_id!r} must not read it.",
            status_code=error.status_code,
        ) from None
    known = {str(value) for value in (run.report_id, run.report_uid) if value is not None}
    known = known or {_normalize(reference.report_id)}
    wanted = [reference.report_id, reference.named_report_id or reference.report_id]
    if any(_is_unsaid(run, report_id) for report_id in wanted):
        known |= await _fetch_report_ids(client, run)
    for report_id in wanted:
        if _normalize(report_id) not in known:
            raise PushMetricsConfigurationError(
                f"run {reference.run_id} in PushMetrics is of another report than {report_id!r}, so it"
                " is not the run of this task. Does the connection lead to another PushMetrics since then?"
            )
    return run


def _is_unsaid(run: Run, report_id: str) -> bool:
    """Return whether a run names its report, but not by this kind of id."""
    given, other = (
        (run.report_id, run.report_uid) if report_id.isdecimal() else (run.report_uid, run.report_id)
    )
    return given is None and other is not None


async def _fetch_report_ids(client: PushMetricsAsyncClient, run: Run) -> set[str]:
    """
    Fetch the number and the uid of a run's report, of which the run has only one.

    :raises PushMetricsNotFoundError: if the API token must not read the report.
    """
    known_id = str(run.report_uid or run.report_id)
    try:
        report = await client.call(reports.fetch_report(client.credentials, known_id, ONE_ATTEMPT))
    except PushMetricsNotFoundError as error:
        raise PushMetricsNotFoundError(
            f"run {run.id} is of report {known_id!r}, and the API token of connection"
            f" {client.settings.conn_id!r} must not read that report, so it is not known whether it is the"
            " report of this task.",
            status_code=error.status_code,
        ) from None
    return {str(value) for value in (report.id, report.uid) if value is not None}


async def fetch_outputs(client: PushMetricsAsyncClient, reference: RunReference) -> RunOutputs | None:
    """Fetch the outputs of a run; None if they are not there yet, or PushMetrics does not have them."""
    return await _try(client, calls.fetch_outputs(client.credentials, reference.url, ONE_ATTEMPT))


async def _try(client: PushMetricsAsyncClient, call: Call[T]) -> T | None:
    """Fetch what not every server has; None if it refuses."""
    try:
        return await client.call(call)
    except PushMetricsUnavailableError:
        raise
    except PushMetricsApiError:
        return None


def merge_blocks(listed: Iterable[RunBlock], outputs: RunOutputs | None) -> list[dict[str, Any]]:
    """
    Merge the list of blocks with the outputs, which only a finished run has.

    The two have no id in common, so blocks are the same by name and type. Not every server lists blocks in
    the outputs: its queries are then the blocks.
    """
    left: defaultdict[tuple[str | None, str | None], deque[BlockOutcome]] = defaultdict(deque)
    for outcome in outputs.blocks if outputs else ():
        left[outcome.name, outcome.type].append(outcome)
    merged = []
    for block in islice(listed, MAX_SHOWN_BLOCKS):
        same = left[block.name, block.type]
        merged.append(_describe_block(block, *([same.popleft()] if same else ())))
    others = islice(chain.from_iterable(left.values()), MAX_SHOWN_BLOCKS - len(merged))
    merged += [_describe_block(one) for one in others]
    by_name = {one.get("name"): one for one in reversed(merged) if one.get("type") == SQL}
    for query in (outputs.queries if outputs else ())[:MAX_SHOWN_BLOCKS]:
        facts = {**_describe_block(query), "name": query.query_name, "type": SQL}
        if query.query_name in by_name:
            by_name[query.query_name].update({**facts, **by_name[query.query_name]})
        else:
            by_name[query.query_name] = facts
            merged.append(facts)
    return merged[:MAX_SHOWN_BLOCKS]


def _describe_block(*parts: RunBlock | BlockOutcome | QueryOutcome) -> dict[str, Any]:
    names = ("name", "type", "status", "error", "output", "block_uid")
    facts: dict[str, Any] = {}
    for part in parts:
        facts |= {name: text for name, text in describe(part, *names).items() if text is not None}
        facts |= {
            name: value
            for name in ("query_id", "row_count", "row_limit", "duration_seconds", "is_truncated")
            if isinstance(value := _get(part, name), int | float)
        }
    status = RunStatus.parse(facts.get("status"))
    return facts if status is RunStatus.UNKNOWN else {**facts, "status": status.value}


def describe(answer: BaseModel, *names: str) -> dict[str, str | None]:
    """Read texts of an answer, which a server may leave out; long ones are cut."""
    return {name: cut(value) if isinstance(value := _get(answer, name), str) else None for name in names}


def _get(answer: BaseModel, name: str) -> object:
    extra: Mapping[str, Any] = answer.model_extra or {}
    return getattr(answer, name, extra.get(name))


def describe_parameters(run: Run) -> dict[str, str]:
    """Write the values of the parameters as JSON, masked as in the task's rendered templates."""
    given = _get(run, "parameters")
    if not isinstance(given, Mapping):
        return {}
    values = redact_secrets(dict(given))
    return {str(name): cut(json.dumps(value, ensure_ascii=False), 200) for name, value in values.items()}


def _describe_line(line: RunLogLine) -> dict[str, Any]:
    return describe(line, "created_on", "effective_level", "message")


def cut(text: str, limit: int = MAX_TEXT_CHARACTERS) -> str:
    """Cut a text, and say so."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text):,} characters)"
