"""Submitting runs: of a report by its trigger or the API, and of a single query."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from sqlalchemy import and_, bindparam, select, tuple_
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.exceptions import (
    PushMetricsConflictError,
    PushMetricsError,
    PushMetricsParameterError,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.service.models import (
    AnyRun,
    Block,
    BlockResult,
    Report,
    Run,
)
from airflow_provider_pushmetrics.service.models.statuses import CANCELLED, CANCELLED_ERROR, FINISHED, NOT_RUN
from airflow_provider_pushmetrics.service.reports.block_graph import (
    PARAMETER,
    PlannedBlock,
    plan_with_query,
)
from airflow_provider_pushmetrics.service.reports.choices import needs_choices, set_query_choices
from airflow_provider_pushmetrics.service.reports.parameters import write_fingerprint
from airflow_provider_pushmetrics.service.results.links import ResultLinks
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.runs.log import LogLine, write_log
from airflow_provider_pushmetrics.service.runs.pending_limit import UNLIMITED, PendingLimit
from airflow_provider_pushmetrics.service.runs.run_insert import insert_runs
from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.storage.database import Database, execute_core, lock_row
from airflow_provider_pushmetrics.service.storage.ids import generate_flow_run_id, generate_uid
from airflow_provider_pushmetrics.service.webhooks.event_outbox import put_in_outbox
from airflow_provider_pushmetrics.service.webhooks.run_events import build_run_event, read_ended_run
from airflow_provider_pushmetrics.serving.parameter_types import (
    Parameter,
    ParameterValueError,
    apply_parameters,
)

# Built once: building them takes as long as executing them.
SELECT_TEMPLATES = (
    select(Report.id, Report.workspace_id, Block.name, Block.content)
    .outerjoin(Block, and_(Block.report_id == Report.id, Block.type == PARAMETER))
    .where(Report.id.in_(bindparam("reports", expanding=True)))
    .order_by(Block.position)
)

IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}\Z")


class UnreadChoicesError(PushMetricsError):
    """The choices of a parameter that has a value were not read."""


@dataclass(frozen=True)
class AcceptedRun:
    """
    A run that was accepted.

    :param is_replay: Whether an earlier call with the same key started it.
    """

    id: int
    uid: str
    is_replay: bool = False


def check_idempotency_key(key: str | None) -> str | None:
    """
    Accept an ``Idempotency-Key``.

    :raises PushMetricsParameterError: unless it is 1 to 255 visible ASCII characters.
    """
    if key is not None and not IDEMPOTENCY_KEY.match(key):
        raise PushMetricsParameterError("The Idempotency-Key must be 1 to 255 visible ASCII characters")
    return key


@dataclass(frozen=True)
class RunSubmission:
    """
    A request for a run.

    :param given: The parameters of this run.
    :param origin: The kind of request: ``webhook`` or ``api``.
    :param idempotency_key: The same key returns the same run; with other parameters or options, an error.
    :param webhook_id: The trigger that was called, whose recipients are notified of the end.
    :param options: Run options: ``send_to_me`` and ``email`` for a preview.
    :param traceparent: The trace of the caller, which the events of the run continue.
    :param started_by: The task that called, for people.
    """

    report_id: int
    given: Mapping[str, Any]
    origin: str
    idempotency_key: str | None = None
    webhook_id: int | None = None
    options: Mapping[str, Any] | None = None
    traceparent: str | None = None
    started_by: str | None = None

    @property
    def key(self) -> tuple[int, str] | None:
        """The key that repeated requests share."""
        return None if self.idempotency_key is None else (self.report_id, self.idempotency_key)


@dataclass(frozen=True)
class RunTemplate:
    """
    The data that all runs of a report share.

    :param parameters: The definitions of its Parameter blocks.
    """

    workspace_id: int
    parameters: list[Parameter] = field(default_factory=list)


def accept_run(
    database: Database,
    results: ResultStore,
    report_id: int,
    given: Mapping[str, Any],
    *,
    limit: PendingLimit = UNLIMITED,
    **details: Any,
) -> AcceptedRun:
    """
    Record that a report is to run. When this returns, the run will happen, whatever happens to this process.

    :param results: Where the results are from which parameters take their choices.
    :param details: The rest of a :class:`RunSubmission`.
    :raises PushMetricsConflictError: if its key was used for another call, or its report is gone.
    :raises PushMetricsUnavailableError: if too many runs of the workspace wait.
    """
    answer = accept_runs(database, results, [RunSubmission(report_id, given, **details)], limit)[0]
    if isinstance(answer, Exception):
        raise answer
    return answer


def accept_runs(
    database: Database,
    results: ResultStore | None,
    requests: Sequence[RunSubmission],
    limit: PendingLimit = UNLIMITED,
) -> list[AcceptedRun | Exception]:
    """
    Record runs of reports by one statement; return for each its run or its error.

    :param results: Where parameters take their choices from. If None, a request that needs some has an
        :class:`UnreadChoicesError`, and no other waits for their storage.
    """
    try:
        with database.reading() as session:
            templates = _read_templates(session, requests)
            workspaces = {template.workspace_id for template in templates.values()}
            pending = Counter({one: limit.count_pending(session, one) for one in workspaces})
            stored = _find_by_key(session, requests)
        if results is not None:
            given = {name for request in requests for name in request.given}
            templates = _set_choices(database, results, templates, given)
        built = [_build_run(request, templates) for request in requests]
        rows, answers = _decide(requests, built, stored, partial(limit.add, pending))
        ids = {run.uid: run.id for run in stored.values()}
        if rows:
            with database.executing() as session:
                ids |= insert_runs(session, rows)
    except (IntegrityError, DataError) as error:
        if len(requests) > 1:  # one of them caused the error
            return [
                answer for request in requests for answer in accept_runs(database, results, [request], limit)
            ]
        return [_find_cause(database, requests[0]) or error]
    return [one if isinstance(one, Exception) else AcceptedRun(ids[one[0]], *one) for one in answers]


def _decide(
    requests: Sequence[RunSubmission],
    built: Sequence[dict[str, Any] | PushMetricsError],
    stored: Mapping[tuple[int, str] | None, Run],
    admit: Callable[[int], None],
) -> tuple[list[Mapping[str, Any]], list[tuple[str, bool] | Exception]]:
    """Return the runs to insert; and for each request its error, or its run and whether that is a repeat."""
    by_key = {key: (run.uid, run.given_parameters, run.options) for key, run in stored.items()}
    rows: list[Mapping[str, Any]] = []
    answers: list[tuple[str, bool] | Exception] = []
    for request, row in zip(requests, built, strict=True):
        known = by_key.get(request.key)
        if known is not None:
            answers.append(_check_repeat(request, *known[1:]) or (known[0], True))
        elif isinstance(row, Exception):
            answers.append(row)
        else:
            try:
                admit(row["workspace_id"])
            except PushMetricsUnavailableError as error:
                answers.append(error)
                continue
            rows.append(row)
            answers.append((row["uid"], False))
            if request.key is not None:
                by_key[request.key] = (row["uid"], row["given_parameters"], row["options"])
    return rows, answers


def _read_templates(session: Session, requests: Sequence[RunSubmission]) -> dict[int, RunTemplate]:
    templates: dict[int, RunTemplate] = {}
    reports = {request.report_id for request in requests}
    for row in execute_core(session, SELECT_TEMPLATES, {"reports": list(reports)}):
        template = templates.setdefault(row.id, RunTemplate(row.workspace_id))
        if row.name is not None:
            template.parameters.append(Parameter.read(row.name, row.content))
    return templates


def _set_choices(
    database: Database, results: ResultStore, templates: Mapping[int, RunTemplate], given: set[str]
) -> dict[int, RunTemplate]:
    def complete(report_id: int, template: RunTemplate) -> RunTemplate:
        parameters = set_query_choices(database, results, report_id, template.parameters, given)
        return replace(template, parameters=parameters)

    return {report_id: complete(report_id, template) for report_id, template in templates.items()}


def _find_by_key(session: Session, requests: Sequence[RunSubmission]) -> dict[tuple[int, str] | None, Run]:
    keys = {request.key for request in requests if request.key is not None}
    if not keys:
        return {}
    found = session.scalars(select(Run).where(tuple_(Run.report_id, Run.idempotency_key).in_(keys)))
    return {(run.report_id, str(run.idempotency_key)): run for run in found}


def _check_repeat(
    request: RunSubmission, given: Mapping[str, Any], options: Mapping[str, Any] | None
) -> PushMetricsConflictError | None:
    if write_fingerprint(given) != write_fingerprint(request.given):
        other = "parameters"
    elif _list_set(options) != _list_set(request.options):
        other = "options"
    else:
        return None
    return PushMetricsConflictError(
        f"This Idempotency-Key was used before with other {other}", status_code=409
    )


def _list_set(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """List the options that are not their defaults."""
    return {name: value for name, value in (options or {}).items() if value}


def _build_run(
    request: RunSubmission, templates: Mapping[int, RunTemplate]
) -> dict[str, Any] | PushMetricsError:
    template = templates.get(request.report_id)
    if template is None:
        return _build_deleted()
    if needs_choices(template.parameters, request.given):
        return UnreadChoicesError(f"the choices of report {request.report_id} were not read.")
    try:
        parameters = apply_parameters(template.parameters, request.given)
    except ParameterValueError as error:
        return error
    return {
        "uid": generate_uid(),
        "workspace_id": template.workspace_id,
        "report_id": request.report_id,
        "origin": request.origin,
        "given_parameters": dict(request.given),
        "parameters": parameters,
        "idempotency_key": request.idempotency_key,
        "flow_run_id": generate_flow_run_id(),
        "webhook_id": request.webhook_id,
        "traceparent": request.traceparent,
        "started_by": request.started_by,
        "options": None if request.options is None else dict(request.options),
    }


def _find_cause(database: Database, request: RunSubmission) -> AcceptedRun | Exception | None:
    """Find the cause of a failed insert: a run with the same key, or a deleted report."""
    with database.reading() as session:
        run = _find_by_key(session, [request]).get(request.key)
        if run is not None:
            repeat = AcceptedRun(run.id, run.uid, is_replay=True)
            return _check_repeat(request, run.given_parameters, run.options) or repeat
        return None if session.get(Report, request.report_id) else _build_deleted()


def _build_deleted() -> PushMetricsConflictError:
    return PushMetricsConflictError("The report was deleted just now", status_code=409)


def cancel_run(session: Session, run: Run, links: ResultLinks) -> None:
    """
    End an unfinished run: a running query is stopped, and the remaining blocks are not run.

    :raises PushMetricsConflictError: if it has ended with another status.
    """
    if end_as_cancelled(session, run, map(plan_with_query, run.report.blocks)):
        write_log(session, run, LogLine("the run was cancelled", "WARNING"))
        event = build_run_event(read_ended_run(session, Run, run.id), links)
        put_in_outbox(session, run.workspace_id, event, run.traceparent, run_id=run.id)


def end_as_cancelled(session: Session, run: AnyRun, blocks: Iterable[PlannedBlock]) -> bool:
    """
    End a run.

    :param blocks: The blocks that are recorded as not run, unless they have run.
    :return: Whether it was not already cancelled.
    :raises PushMetricsConflictError: if it has ended with another status.
    """
    lock_row(session, run)
    if run.status == CANCELLED:
        return False
    if run.status in FINISHED:
        raise PushMetricsConflictError(f"The run has ended: {run.status}", status_code=409)
    run.status, run.finished_on, run.error = CANCELLED, get_now(), CANCELLED_ERROR
    recorded = {result.block_id for result in run.results}
    for block in blocks:
        if block.id not in recorded:
            run.results.append(build_result(block, NOT_RUN, f"not finished, because {CANCELLED_ERROR}"))
    session.flush()
    session.refresh(run, ["results"])
    return True


def build_result(block: PlannedBlock, status: str, error: str | None) -> BlockResult:
    """Build the result of a block that was not run."""
    return BlockResult(
        block_id=block.id,
        block_uid=block.uid,
        query_id=block.query_id,
        position=block.position,
        name=block.name,
        type=block.type,
        status=status,
        error=error,
        is_truncated=False,
    )


def read_parameters(report: Report) -> list[Parameter]:
    """Read a report's Parameter blocks."""
    return [Parameter.read(block.name, block.content) for block in report.blocks if block.type == PARAMETER]
