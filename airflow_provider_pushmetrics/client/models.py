"""What the API answers, as frozen models that let new fields pass."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, TypedDict

from pydantic import BaseModel, ConfigDict, Field, field_validator

from airflow_provider_pushmetrics.event_ids import MAX_ID

Id = Annotated[int, Field(ge=0, le=MAX_ID)]
"""A number that Airflow is given to keep: one beyond 64 bits cannot be sent to its supervisor."""


class RunStatus(StrEnum):
    """
    How a run stands.

    ``UNKNOWN`` is a word that this version has not heard of: it counts as not finished. PushMetrics documents
    success, failed, running and pending; the other words are read as their plain meaning.
    """

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def is_finished(self) -> bool:
        """Whether nothing will change any more."""
        return self in (RunStatus.SUCCESS, RunStatus.FAILED, RunStatus.CANCELLED)

    @classmethod
    def parse(cls, value: object) -> RunStatus:
        """Read a status in any case; never fails."""
        word = str(value).strip().lower()
        return _STATUS_WORDS.get(word, cls.UNKNOWN)


_STATUS_WORDS = {status.value: status for status in RunStatus} | {
    "completed": RunStatus.SUCCESS,
    "succeeded": RunStatus.SUCCESS,
    "error": RunStatus.FAILED,
    "crashed": RunStatus.FAILED,
    "canceled": RunStatus.CANCELLED,
    "queued": RunStatus.PENDING,
    "scheduled": RunStatus.PENDING,
}


class _Answer(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class TriggeredRun(_Answer):
    """
    The answer of a webhook trigger.

    :param run_id: The run that was started, where the server says it.
    :param was_replayed: The server knew the idempotency key: this is the run of an earlier call.
    """

    run_id: Id | None = None
    was_replayed: bool = False


class Run(_Answer):
    """
    A report run, as the list of runs shows it.

    :param id: Its number, which also stands in the URLs of its results.
    :param report_id: Its report's number, where the server says it.
    """

    id: Id
    uid: str | None = None
    name: str | None = None
    status: RunStatus = RunStatus.UNKNOWN
    report_uid: str | None = None
    report_id: int | None = None

    @field_validator("status", mode="before")
    @classmethod
    def _read_status(cls, value: object) -> RunStatus:
        return RunStatus.parse(value)


class ReportBlock(_Answer):
    """A block of a report. A value can be given for a block of type ``parameter``, by the block's name."""

    name: str | None = None
    type: str | None = None


class Report(_Answer):
    """
    A report or a notebook.

    :param id: Its number, which stands in its webhook URL.
    :param blocks: Its blocks; None where the server does not list them, as in the list of reports.
    """

    id: int
    uid: str | None = None
    name: str | None = None
    type: str | None = None
    created_on: str | None = None
    blocks: tuple[ReportBlock, ...] | None = None


class Webhook(_Answer):
    """A webhook trigger, as its owner is shown it."""

    id: int
    report_id: int | None = None
    token: str | None = Field(default=None, repr=False)
    active: bool | None = None


class RunLogLine(_Answer):
    """A line of a run's log."""

    message: str | None = None
    created_on: str | None = None
    effective_level: str | None = None


class RunBlock(_Answer):
    """What became of one block of a run, as the API of runs shows it."""

    block_uid: str | None = None
    name: str | None = None
    type: str | None = None
    status: str | None = None
    results_key: str | None = None
    row_count: int | None = None
    error: str | None = None


class BlockOutcome(_Answer):
    """
    How one block of a run ended.

    :param is_truncated: Whether its query had more rows than ``row_limit``, which were cut off; None where
        the server does not say.
    """

    block_id: int | None = None
    name: str | None = None
    type: str | None = None
    status: str | None = None
    error: str | None = None
    row_count: int | None = None
    row_limit: int | None = None
    is_truncated: bool | None = None


class QueryOutcome(_Answer):
    """
    How one query of a report run ended, and where its result is.

    :param row_limit: How many rows it was allowed to give, where the server says it.
    :param is_truncated: Whether it had more, which were cut off; None where the server does not say.
    """

    query_id: int
    query_name: str | None = None
    query_result: str
    status: str | None = None
    row_count: int | None = None
    row_limit: int | None = None
    is_truncated: bool | None = None
    error: str | None = None


class RunOutputs(_Answer):
    """
    The outputs of a report run.

    :param status: How it ended; where the server does not say (the body is documented nowhere), it answered,
        so the run is over, and this is None.
    """

    report_id: int | None = None
    report_name: str | None = None
    run_id: int | None = None
    status: RunStatus | None = None
    blocks: tuple[BlockOutcome, ...] = ()
    queries: tuple[QueryOutcome, ...] = ()

    @field_validator("status", mode="before")
    @classmethod
    def _read_status(cls, value: object) -> RunStatus | None:
        return None if value is None else RunStatus.parse(value)

    def list_truncated_queries(self) -> tuple[QueryOutcome, ...]:
        """List the queries whose results were cut off at their row limit."""
        return tuple(query for query in self.queries if query.is_truncated)

    def find_failed_block(self) -> BlockOutcome | None:
        """Find the first block that failed by itself, not because of another one."""
        return next(
            (block for block in self.blocks if RunStatus.parse(block.status) is RunStatus.FAILED), None
        )


class FeedEvent(_Answer):
    """
    An event in the receiver's inbox.

    :param id: Its place: a reader who has seen one id never later finds a smaller one.
    :param body: The webhook's body, as sent.
    """

    id: Id
    source: str | None = None
    received_at: str | None = None
    body: dict[str, Any]


class FeedPage(_Answer):
    """
    Some events, and where to go on.

    :param cursor: Ask for what comes after this next.
    """

    events: tuple[FeedEvent, ...] = ()
    cursor: Id


# What tasks and triggers hand on as JSON.


class QueryResult(TypedDict):
    """A query of a run, and where its result is."""

    query_id: int
    query_name: str | None
    query_result: str
    status: str | None
    row_count: int | None
    is_truncated: bool | None
    row_limit: int | None


class RunResult(TypedDict):
    """What a task returns that ran a report."""

    report_id: str
    run_id: int | None
    status: str | None
    outputs_url: str | None
    queries: list[QueryResult]


class FoundEvent(TypedDict):
    """What a sensor returns and a watcher fires: an event of the inbox."""

    id: int
    source: str | None
    received_at: str | None
    body: dict[str, Any]


class SavedResult(TypedDict):
    """What a transfer returns for each file."""

    query_name: str | None
    path: str
    rows: int | None
    bytes: int
    sha256: str
    is_truncated: bool | None
    row_limit: int | None
