"""
Execute runs, block by block.

Each block's result is recorded before the blocks that need it begin, so an interrupted run goes on where it
was.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.service.attachments import Attachment, check_size
from airflow_provider_pushmetrics.service.clock import Clock, get_now
from airflow_provider_pushmetrics.service.database import Database
from airflow_provider_pushmetrics.service.events import (
    ResultLinks,
    build_query_run,
    build_report_run,
    put_in_outbox,
)
from airflow_provider_pushmetrics.service.formats import ResultHeader
from airflow_provider_pushmetrics.service.messages import (
    Letter,
    Post,
    build_chart,
    build_letter,
    build_post,
    list_wanted_files,
)
from airflow_provider_pushmetrics.service.models import BlockResult, QueryRun, Run
from airflow_provider_pushmetrics.service.notifications.outgoing import put_mail
from airflow_provider_pushmetrics.service.notifications.recipients import check_recipient
from airflow_provider_pushmetrics.service.parameters import coerce_parameter
from airflow_provider_pushmetrics.service.plan import (
    CHART,
    EMAIL,
    PARAMETER,
    SLACK,
    SQL,
    TEXT,
    PlanError,
    PlannedBlock,
    plan_block,
    plan_waves,
    select_with_needs,
)
from airflow_provider_pushmetrics.service.querying import QueryLimits, RowCutter, watch
from airflow_provider_pushmetrics.service.results import ResultError, ResultStore
from airflow_provider_pushmetrics.service.rows import RowBatches, SourceError
from airflow_provider_pushmetrics.service.run_log import write_log
from airflow_provider_pushmetrics.service.run_notices import put_slack, tell_recipients
from airflow_provider_pushmetrics.service.sources import SourceRegistry
from airflow_provider_pushmetrics.service.statuses import (
    FAILED,
    FINISHED,
    NOT_RUN,
    PENDING,
    RUNNING,
    SUCCESS,
)
from airflow_provider_pushmetrics.service.templating import (
    BlockTemplateError,
    QueryOutput,
    render_sql,
    render_text,
)

MAX_PARALLEL_BLOCKS = 4
MAX_ERROR_LENGTH = 4000

DEFAULT_LIMITS = QueryLimits()
CANCELLED_ERROR = "the run was cancelled"

INTERNAL_ERROR = "internal error: see the service's log"

AnyRun: TypeAlias = Run | QueryRun

log = logging.getLogger(__name__)


class RunEndedError(PushMetricsError):
    """A run ended while it was executed: somebody cancelled it, or deleted its report."""


@dataclass(frozen=True)
class BlockOutcome:
    """
    What became of one block.

    :param value: A parameter's value, for the templates of other blocks.
    :param limits: What a query was allowed to take.
    :param is_truncated: Whether it had more rows than that.
    :param letter: The mail that goes on its way with the result.
    :param post: The message to Slack that does.
    """

    status: str
    error: str | None = None
    output: str | None = None
    row_count: int | None = None
    result_file: str | None = None
    value: Any = None
    limits: QueryLimits | None = None
    is_truncated: bool = False
    letter: Letter | None = None
    post: Post | None = None


@dataclass(frozen=True)
class RunPlan:
    """
    All that is needed to execute a run, read from the database once.

    :param waves: The blocks, those that may run at the same time together.
    :param outcomes: What became of the blocks so far; grows as the run goes on.
    """

    kind: type[AnyRun]
    id: int
    waves: Sequence[Sequence[PlannedBlock]]
    parameters: Mapping[str, Any]
    given_parameters: Mapping[str, Any]
    outcomes: dict[str, BlockOutcome] = field(default_factory=dict)
    error: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def blocks(self) -> list[PlannedBlock]:
        """All blocks, in the report's order."""
        return sorted((block for wave in self.waves for block in wave), key=lambda block: block.position)

    def name_result_file(self, block: PlannedBlock) -> str:
        """Name the file for the rows of a block; it does not change when the run is taken up again."""
        folder = "run" if self.kind is Run else "query-run"
        return f"{folder}-{self.id}/{block.uid}.parquet"


class RunExecutor:
    """
    Executes runs of reports and of single queries.

    :param database: Where runs are kept.
    :param sources: The databases that SQL blocks ask.
    :param results: Where rows are kept.
    :param links: Writes the links of events.
    :param limits: What any query may take.
    :param has_slack: Whether there is a Slack workspace to post to.
    """

    def __init__(
        self,
        database: Database,
        sources: SourceRegistry,
        results: ResultStore,
        links: ResultLinks,
        *,
        limits: QueryLimits = DEFAULT_LIMITS,
        has_slack: bool = False,
        clock: Clock = get_now,
    ) -> None:
        self._database = database
        self._sources = sources
        self._results = results
        self._links = links
        self._limits = limits
        self._has_slack = has_slack
        self._clock = clock

    def execute(self, kind: type[AnyRun], run_id: int) -> None:
        """Execute a run to its end, from wherever it was; nothing happens to one that has ended."""
        plan = self._begin(kind, run_id)
        if plan is None:
            return
        try:
            for wave in plan.waves:
                self._execute_wave(plan, wave)
        except RunEndedError:
            return  # it was cancelled, or its report deleted: that is recorded already
        except Exception:
            # A run must not stay 'running' for ever because of a fault of ours; the log has the rest.
            self._finish(plan, INTERNAL_ERROR)
            raise
        self._finish(plan, plan.error)

    def abandon(self, kind: type[AnyRun], run_id: int) -> None:
        """End a run that can no longer be executed."""
        plan = self._begin(kind, run_id)
        if plan is not None:
            self._finish(plan, INTERNAL_ERROR)

    def _begin(self, kind: type[AnyRun], run_id: int) -> RunPlan | None:
        with self._database.noting() as session:
            run = _find_run(session, kind, run_id)
            if run is None or run.status in FINISHED:
                return None
            plan = _plan_run(session, run)
            if isinstance(run, Run):
                write_log(session, run, "the run begins" if run.status == PENDING else "the run goes on")
            run.status = RUNNING
            run.started_on = run.started_on or self._clock()
            return plan

    def _execute_wave(self, plan: RunPlan, wave: Sequence[PlannedBlock]) -> None:
        due = [block for block in wave if block.name not in plan.outcomes]
        if len(due) <= 1:
            outcomes = [self._execute_block(plan, block) for block in due]
        else:
            with ThreadPoolExecutor(min(len(due), MAX_PARALLEL_BLOCKS)) as pool:
                outcomes = list(pool.map(lambda block: self._execute_block(plan, block), due))
        plan.outcomes.update(zip((block.name for block in due), outcomes, strict=True))

    def _execute_block(self, plan: RunPlan, block: PlannedBlock) -> BlockOutcome:
        started_on = self._clock()
        missing = sorted(name for name in block.needs if plan.outcomes[name].status != SUCCESS)
        if plan.error is not None:
            outcome = BlockOutcome(NOT_RUN)
        elif missing:
            outcome = BlockOutcome(NOT_RUN, error=f"not run, because {', '.join(missing)} did not succeed")
        else:
            outcome = self._try_block(plan, block)
        self._record(plan, block, outcome, started_on=None if outcome.status == NOT_RUN else started_on)
        return outcome

    def _try_block(self, plan: RunPlan, block: PlannedBlock) -> BlockOutcome:
        try:
            if block.type == PARAMETER:
                return _resolve_parameter(plan, block)
            names = self._collect_names(plan)
            if block.type == TEXT:
                return BlockOutcome(SUCCESS, output=render_text(block.template, names))
            if block.type == SQL:
                return self._query(plan, block, names)
            if block.type == CHART:
                rows = names[block.content["query"]].data if block.content["query"] in names else None
                if not isinstance(rows, list):
                    raise BlockTemplateError(f"there is no query {block.content['query']!r} to draw.")
                return BlockOutcome(SUCCESS, output=build_chart(block, rows, names))
            if block.type == EMAIL:
                letter = replace(build_letter(block, names), attachments=self._attach(plan, block, names))
                return _address(plan, letter)
            if block.type == SLACK:
                return self._post(plan, block, names)
            raise BlockTemplateError(f"blocks of the type {block.type!r} cannot be executed.")
        except PushMetricsError as error:
            return BlockOutcome(FAILED, error=str(error)[:MAX_ERROR_LENGTH])

    def _query(self, plan: RunPlan, block: PlannedBlock, names: Mapping[str, Any]) -> BlockOutcome:
        sql = render_sql(block.template, names)
        file = plan.name_result_file(block)
        limits = self._limits.narrow(block.content)
        source = self._sources.open(block.content.get("database_id"))
        cutter = RowCutter(limits.max_rows)
        with watch(limits.timeout_seconds, lambda: self._find_stop_reason(plan)) as stopper:
            try:
                with source.query(sql, stopper) as rows:
                    row_count = self._results.write(file, RowBatches(rows.schema, cutter.cut(rows.batches)))
            except (SourceError, ResultError) as error:
                return BlockOutcome(FAILED, error=str(error)[:MAX_ERROR_LENGTH], limits=limits)
        return BlockOutcome(
            SUCCESS, row_count=row_count, result_file=file, limits=limits, is_truncated=cutter.is_truncated
        )

    def _attach(self, plan: RunPlan, block: PlannedBlock, names: Mapping[str, Any]) -> tuple[Attachment, ...]:
        """Find the results that go with a mail, and see that they are not too large for one."""
        queries = {query.name: query for query in plan.blocks if query.type == SQL}
        found: list[Attachment] = []
        for wanted in list_wanted_files(block, names):
            query, outcome = queries.get(wanted.query), plan.outcomes.get(wanted.query)
            if query is None or query.query_id is None or outcome is None or outcome.result_file is None:
                raise BlockTemplateError(f"there is no query {wanted.query!r} to attach.")
            if outcome.row_count or not wanted.skip_if_empty:
                header = ResultHeader(
                    query.query_id,
                    query.name,
                    plan.id,
                    outcome.status,
                    max_rows=outcome.limits.max_rows if outcome.limits else None,
                    timeout_seconds=outcome.limits.timeout_seconds if outcome.limits else None,
                    is_truncated=outcome.is_truncated,
                )
                found.append(Attachment(wanted.name, wanted.format, outcome.result_file, header))
        check_size(self._results, found)
        return tuple(found)

    def _post(self, plan: RunPlan, block: PlannedBlock, names: Mapping[str, Any]) -> BlockOutcome:
        if not self._has_slack:
            raise BlockTemplateError(
                "Slack is not connected: set PUSHMETRICS_SERVICE_SLACK_TOKEN for the service."
            )
        post = build_post(block, names)
        if plan.options.get("send_to_me"):
            return BlockOutcome(SUCCESS, output="not sent: this is a preview")
        return BlockOutcome(SUCCESS, output=f"to {', '.join(post.channels)}", post=post)

    def _find_stop_reason(self, plan: RunPlan) -> str | None:
        with self._database.reading() as session:
            run = _find_run(session, plan.kind, plan.id)
            return CANCELLED_ERROR if run is None or run.status in FINISHED else None

    def _collect_names(self, plan: RunPlan) -> dict[str, Any]:
        """
        Collect what templates see.

        A block wins over a parameter of the same name, which stays visible as ``params.name``.
        """
        parameters = dict(plan.parameters)
        queries: dict[str, Any] = {}
        for block in plan.blocks:
            outcome = plan.outcomes.get(block.name)
            if block.type == PARAMETER and outcome is not None and outcome.status == SUCCESS:
                parameters[block.name] = outcome.value
            elif block.type == SQL:
                queries[block.name] = self._build_output(block, outcome)
        return {
            **parameters,
            **queries,
            "params": parameters,
            "webhook": {"parameters": dict(plan.given_parameters)},
        }

    def _build_output(self, block: PlannedBlock, outcome: BlockOutcome | None) -> QueryOutput:
        def load_rows() -> list[dict[str, Any]]:
            if outcome is None or outcome.result_file is None:
                raise LookupError(f"{block.name!r} has no rows")
            return self._results.read_rows(outcome.result_file)

        return QueryOutput(block.template, load_rows)

    def _record(self, plan: RunPlan, block: PlannedBlock, outcome: BlockOutcome, *, started_on: Any) -> None:
        with self._database.noting() as session:
            run = _lock_run(session, plan)
            if run is None:
                raise RunEndedError(f"run {plan.id} has ended.")
            if isinstance(run, Run):
                level = "ERROR" if outcome.status == FAILED else "INFO"
                write_log(session, run, _describe(block, outcome), level=level, block_uid=block.uid)
            if outcome.letter is not None:
                letter = outcome.letter
                put_mail(session, run.workspace_id, letter.recipients, letter.words, letter.attachments)
            if outcome.post is not None:
                put_slack(session, run.workspace_id, outcome.post.channels, outcome.post.text)
            session.add(
                BlockResult(
                    run_id=plan.id if plan.kind is Run else None,
                    query_run_id=plan.id if plan.kind is QueryRun else None,
                    block_id=block.id,
                    block_uid=block.uid,
                    query_id=block.query_id,
                    position=block.position,
                    name=block.name,
                    type=block.type,
                    status=outcome.status,
                    error=_make_storable(outcome.error),
                    output=_make_storable(outcome.output),
                    row_count=outcome.row_count,
                    result_file=outcome.result_file,
                    max_rows=outcome.limits.max_rows if outcome.limits else None,
                    timeout_seconds=outcome.limits.timeout_seconds if outcome.limits else None,
                    is_truncated=outcome.is_truncated,
                    started_on=started_on,
                    finished_on=self._clock(),
                )
            )

    def _finish(self, plan: RunPlan, error: str | None) -> None:
        """Set the end of a run and put its event in the outbox, both or neither."""
        with self._database.writing() as session:
            run = _lock_run(session, plan)
            if run is None:
                return
            run.finished_on = self._clock()
            run.error = _make_storable(error or _summarize_failures(plan))
            run.status = SUCCESS if run.error is None else FAILED
            session.flush()
            if isinstance(run, Run):
                write_log(session, run, f"the run ends: {run.status}")
                put_in_outbox(session, run.workspace_id, build_report_run(run, self._links))
            elif run.query_id is not None:
                put_in_outbox(session, run.workspace_id, build_query_run(run, self._links))
            tell_recipients(session, run, self._links)
        log.info("%s %s of report %s: %s", plan.kind.__tablename__, run.id, run.report_id, run.status)


def _find_run(session: Session, kind: type[AnyRun], run_id: int) -> AnyRun | None:
    return cast("AnyRun | None", session.get(kind, run_id))


def _lock_run(session: Session, plan: RunPlan) -> AnyRun | None:
    """Find a run that has not ended, and keep others from ending it until the commit."""
    run = cast("AnyRun | None", session.get(plan.kind, plan.id, with_for_update=True))
    return None if run is None or run.status in FINISHED else run


def _address(plan: RunPlan, letter: Letter) -> BlockOutcome:
    """Send a mail to whom it is for; a preview's to whoever asked for it, or to nobody."""
    if plan.options.get("send_to_me"):
        address = plan.options.get("email")
        if not address:
            return BlockOutcome(SUCCESS, output="not sent: this is a preview")
        letter = replace(letter, recipients=(check_recipient(address),))
    return BlockOutcome(SUCCESS, output=f"to {', '.join(letter.recipients)}", letter=letter)


def _describe(block: PlannedBlock, outcome: BlockOutcome) -> str:
    details = outcome.error or (None if outcome.row_count is None else f"{outcome.row_count} rows")
    if outcome.is_truncated:
        details = f"{details}, cut off at the limit"
    return f"block {block.name!r}: {outcome.status}" + (f", {details}" if details else "")


def _make_storable(text: str | None) -> str | None:
    """Take out what PostgreSQL cannot store in a text."""
    return None if text is None else text.replace("\x00", "\ufffd")


def _plan_run(session: Session, run: AnyRun) -> RunPlan:
    own = run.content if isinstance(run, QueryRun) else None
    blocks = [
        plan_block(block, own if isinstance(run, QueryRun) and block.id == run.block_id else None)
        for block in run.report.blocks
    ]
    error = None
    try:
        waves = plan_waves(blocks)
    except PlanError as fault:
        waves, error = [blocks], str(fault)
    if isinstance(run, QueryRun):
        waves = select_with_needs(waves, run.block.name)
    names = {block.id: block.name for block in blocks}
    recorded = session.scalars(
        select(BlockResult).where(
            BlockResult.run_id == run.id if isinstance(run, Run) else BlockResult.query_run_id == run.id
        )
    )
    plan = RunPlan(
        kind=type(run),
        id=run.id,
        waves=waves,
        parameters=run.parameters,
        given_parameters=run.given_parameters,
        error=error,
        options=(run.options or {}) if isinstance(run, Run) else {},
    )
    plan.outcomes.update(_restore_outcomes(plan, recorded, names))
    return plan


def _restore_outcomes(
    plan: RunPlan, recorded: Iterable[BlockResult], names: Mapping[int, str]
) -> dict[str, BlockOutcome]:
    """Take up what an interrupted run had recorded. A parameter's value is not recorded but made again."""
    by_name = {block.name: block for block in plan.blocks}
    outcomes = {}
    for result in recorded:
        block = by_name.get(names.get(result.block_id, ""))
        if block is None:
            continue
        value = None
        if block.type == PARAMETER and result.status == SUCCESS:
            value = _resolve_parameter(plan, block).value
        outcomes[block.name] = BlockOutcome(
            status=result.status,
            error=result.error,
            output=result.output,
            row_count=result.row_count,
            result_file=result.result_file,
            value=value,
            limits=_restore_limits(result),
            is_truncated=result.is_truncated,
        )
    return outcomes


def _restore_limits(result: BlockResult) -> QueryLimits | None:
    if result.max_rows is None or result.timeout_seconds is None:
        return None
    return QueryLimits(result.max_rows, result.timeout_seconds)


def _resolve_parameter(plan: RunPlan, block: PlannedBlock) -> BlockOutcome:
    value = plan.parameters.get(block.name)
    if value is None and block.content.get("required"):
        raise BlockTemplateError(f"parameter {block.name!r} is required: give it a value.")
    return BlockOutcome(SUCCESS, value=coerce_parameter(block.name, block.content.get("type", "any"), value))


def _summarize_failures(plan: RunPlan) -> str | None:
    failures = [
        f"block {block.name!r}: {outcome.error}"
        for block in plan.blocks
        if (outcome := plan.outcomes.get(block.name)) is not None and outcome.status == FAILED
    ]
    return "; ".join(failures)[:MAX_ERROR_LENGTH] or None
