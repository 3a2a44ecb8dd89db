"""
Executes runs, block by block.

Each block's result is recorded before the blocks that depend on it begin, so an interrupted run continues
there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from airflow_provider_pushmetrics.service.datasources.limits import DEFAULT_LIMITS, QueryLimits
from airflow_provider_pushmetrics.service.datasources.memory_guard import RunningQueries
from airflow_provider_pushmetrics.service.datasources.registry import SourceRegistry
from airflow_provider_pushmetrics.service.models import AnyRun
from airflow_provider_pushmetrics.service.models.statuses import CANCELLED, FAILED, NOT_RUN, SUCCESS
from airflow_provider_pushmetrics.service.reports.block_graph import BLOCK_TYPES, PlannedBlock
from airflow_provider_pushmetrics.service.results.links import ResultLinks
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.runs.execution.block_executor import BlockExecutor
from airflow_provider_pushmetrics.service.runs.execution.plan import (
    MAX_PARALLEL_BLOCKS,
    ExecutedBlock,
    RunPlan,
)
from airflow_provider_pushmetrics.service.runs.execution.recorder import (
    BlockRecord,
    OvertakenError,
    RunEndedError,
    RunRecorder,
)
from airflow_provider_pushmetrics.service.runs.execution.shared_work import work_together
from airflow_provider_pushmetrics.service.storage.clock import Clock, get_now
from airflow_provider_pushmetrics.service.storage.database import (
    Database,
    Persist,
    is_unavailable,
    persist_once,
)
from airflow_provider_pushmetrics.serving.metrics import LONG_SECONDS, Histogram
from airflow_provider_pushmetrics.serving.traces import span

INTERNAL_ERROR = "internal error: see the service's log"


class RunExecutor:
    """
    Executes runs of reports and of single queries.

    :param database: The database.
    :param sources: The databases of SQL blocks.
    :param results: The result store.
    :param links: Builds the links in events.
    :param limits: The limits of every query.
    :param has_slack: Whether Slack is configured.
    :param queries: The registry of running queries, which can be stopped.
    :param persist: Repeats what records a block that was executed, so that it is not executed again.
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
        queries: RunningQueries | None = None,
        persist: Persist = persist_once,
        clock: Clock = get_now,
    ) -> None:
        self._persist = persist
        self._recorder = RunRecorder(database, links, clock)
        self._results = results
        self._clock = clock
        self._block_seconds = Histogram(
            "pushmetrics_service_block_seconds",
            "Duration of a block that was executed.",
            LONG_SECONDS,
            {"type": BLOCK_TYPES, "status": (SUCCESS, FAILED, CANCELLED)},
        )
        self.figures = (self._recorder.run_seconds, self._block_seconds)
        self._blocks = BlockExecutor(
            sources,
            results,
            limits,
            has_slack=has_slack,
            queries=queries,
            find_stop_reason=self._recorder.find_stop_reason,
        )

    def execute(self, kind: type[AnyRun], run_id: int) -> None:
        """
        Execute a run to its end, from its last recorded block; do nothing if it has ended.

        :raises SQLAlchemyError: if the database is unavailable, or the end of the run cannot be recorded: the
            run can continue later.
        """
        # If another worker executes it too, each continues after the blocks recorded by either; one may die.
        while (plan := self._recorder.begin(kind, run_id)) is not None:
            facts = {"pushmetrics.run.id": plan.id, "pushmetrics.report.id": plan.report_id}
            with span(f"execute {kind.__tablename__}", parent=plan.traceparent, facts=facts):
                if self._execute_plan(plan):
                    return

    def _execute_plan(self, plan: RunPlan) -> bool:
        """Execute what remains; return whether the run has ended, or else another worker recorded a part."""
        try:
            records = self._execute_blocks(plan)
        except OvertakenError:
            return False
        except RunEndedError:
            return True  # it was cancelled, or its report deleted: that is recorded already
        except Exception as error:
            if not is_unavailable(error):
                # A run must not stay 'running' forever because of a bug; the log has the traceback.
                self._end(plan, INTERNAL_ERROR)
            raise
        # If this fails, the run stays unfinished: its blocks may have succeeded.
        try:
            with self._discarding(plan, records):
                self._insist(lambda: self._recorder.finish(plan, plan.error, records))
        except OvertakenError:
            return False
        except RunEndedError:
            pass
        return True

    def abandon(self, kind: type[AnyRun], run_id: int) -> None:
        """End a run that cannot be executed because of a bug."""
        plan = self._recorder.begin(kind, run_id)
        if plan is not None:
            self._end(plan, INTERNAL_ERROR)

    def _end(self, plan: RunPlan, error: str) -> None:
        with suppress(RunEndedError):
            self._recorder.finish(plan, error)

    def _insist(self, record: Callable[[], None]) -> None:
        """Record what was executed, however long the database is unavailable."""
        errors: list[Exception] = []

        def attempt() -> bool:
            try:
                record()
            except Exception as error:
                if is_unavailable(error):
                    raise
                errors.append(error)
            return not errors

        if not self._persist(attempt):
            raise errors[0]

    @contextmanager
    def _discarding(self, plan: RunPlan, records: Sequence[BlockRecord]) -> Iterator[None]:
        """Delete the results of blocks that cannot be recorded any more."""
        try:
            yield
        except (OvertakenError, RunEndedError):
            # The connection may have been lost after the commit: then they are recorded.
            recorded = self._recorder.list_result_files(plan)
            files = [record.outcome.result_file for record in records]
            self._results.delete(file for file in files if file is not None and file not in recorded)
            raise

    def _execute_blocks(self, plan: RunPlan) -> list[BlockRecord]:
        """Execute the blocks, and return those to record with the end of the run: a single last block."""
        waves = [[block for block in wave if block.name not in plan.outcomes] for wave in plan.waves]
        waves = [wave for wave in waves if wave]
        last = waves.pop() if waves and len(waves[-1]) == 1 else []
        for wave in waves:
            self._execute_wave(plan, wave)
        records = [self._execute_block(plan, block) for block in last]
        plan.outcomes.update((record.block.name, record.outcome) for record in records)
        return records

    def _execute_wave(self, plan: RunPlan, wave: Sequence[PlannedBlock]) -> None:
        def execute(block: PlannedBlock) -> ExecutedBlock:
            record = self._execute_block(plan, block)
            with self._discarding(plan, [record]):
                self._insist(lambda: self._recorder.record(plan, record))
            return record.outcome

        outcomes = work_together(execute, wave, MAX_PARALLEL_BLOCKS)
        plan.outcomes.update(zip((block.name for block in wave), outcomes, strict=True))

    def _execute_block(self, plan: RunPlan, block: PlannedBlock) -> BlockRecord:
        started_on = self._clock()
        missing = sorted(name for name in block.needs if plan.outcomes[name].status != SUCCESS)
        if plan.error is not None:
            outcome = ExecutedBlock(NOT_RUN)
        elif missing:
            outcome = ExecutedBlock(NOT_RUN, error=f"not run, because {', '.join(missing)} did not succeed")
        else:
            facts = {"pushmetrics.block.type": block.type, "pushmetrics.block.uid": block.uid}
            with span(f"execute {block.type} block", facts=facts) as executed:
                outcome = self._blocks.execute(plan, block)
                seconds, status = (self._clock() - started_on).total_seconds(), outcome.status
                if status == FAILED and self._recorder.find_stop_reason(plan) is not None:
                    status = CANCELLED
                if status != SUCCESS:
                    executed.fail(f"block_{status}")
            self._block_seconds.observe(max(0.0, seconds), block.type, status)
        return BlockRecord(block, outcome, None if outcome.status == NOT_RUN else started_on)
