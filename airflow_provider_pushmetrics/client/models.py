"""The responses of the API, as frozen models that accept new fields."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, NotRequired, TypedDict

from pydantic import BaseModel, ConfigDict, Field, field_validator

from airflow_provider_pushmetrics.event_ids import MAX_ID

Id = Annotated[int, Field(ge=0, le=MAX_ID)]
"""An id that Airflow stores: it cannot send an integer beyond 64 bits to its supervisor."""


class RunStatus(StrEnum):
    """
    The status of a run.

    ``UNKNOWN`` is a value that this version does not know; it counts as unfinished. PushMetrics documents
    success, failed, running and pending; other known words have their plain meaning.
    """

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def is_finished(self) -> bool:
        """Whether the status is final."""
        return self in (RunStatus.SUCCESS, RunStatus.FAILED, RunStatus.CANCELLED)

    @classmethod
    def parse(cls, value: object) -> RunStatus:
        """Parse a status in any case; never raises."""
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
    The response of a webhook trigger.

    :param run_id: The run that was started, if the server returns it.
    :param was_replayed: The server knew the idempotency key, so this is the run of an earlier call.
    """

    run_id: Id | None = None
    was_replayed: bool = False


class Run(_Answer):
    """
    A report run, as the list of runs shows it.

    :param id: Its number, as in the URLs of its results.
    :param uid: Its other id, a text.
    :param status: Its status; ``UNKNOWN`` for one that this version does not know.
    :param report_uid: Its report's uid, if the server returns it.
    :param report_id: Its report's number, if the server returns it.
    :param end_time: When it ended, in ISO 8601, if the server returns it.
    """

    id: Id
    uid: str | None = None
    name: str | None = None
    status: RunStatus = RunStatus.UNKNOWN
    report_uid: str | None = None
    report_id: int | None = None
    end_time: str | None = None

    @field_validator("status", mode="before")
    @classmethod
    def _read_status(cls, value: object) -> RunStatus:
        return RunStatus.parse(value)

    @field_validator("end_time", mode="before")
    @classmethod
    def _read_end_time(cls, value: object) -> str | None:
        return value if isinstance(value, str) else None


class ReportBlock(_Answer):
    """A block of a report. A block of type ``parameter`` accepts a value, by the block's name."""

    name: str | None = None
    type: str | None = None


class Report(_Answer):
    """
    A report or a notebook.

    :param id: Its number, as in its webhook URL.
    :param blocks: Its blocks; None if the server does not list them, as in the list of reports.
    """

    id: int
    uid: str | None = None
    name: str | None = None
    type: str | None = None
    created_on: str | None = None
    blocks: tuple[ReportBlock, ...] | None = None


class WebhookTrigger(_Answer):
    """
    A webhook trigger, as the API shows it to its owner.

    :param id: Its own number.
    :param report_id: Its report's number.
    :param token: The secret in its URL.
    :param active: Whether calls start runs.
    """

    id: int
    report_id: int | None = None
    token: str | None = Field(default=None, repr=False)
    active: bool | None = None


class RunLogLine(_Answer):
    """
    A line of a run's log.

    :param created_on: When it was written, in ISO 8601.
    :param effective_level: Its level, such as ``info`` or ``error``.
    """

    message: str | None = None
    created_on: str | None = None
    effective_level: str | None = None


class RunBlock(_Answer):
    """
    The status of one block of a run, as the API of runs shows it.

    :param block_uid: The block's uid.
    :param type: Its type, such as ``sql``.
    :param row_count: The number of rows of its result, if it has one.
    :param error: Why it failed.
    """

    block_uid: str | None = None
    name: str | None = None
    type: str | None = None
    status: str | None = None
    results_key: str | None = None
    row_count: int | None = None
    error: str | None = None


class BlockOutcome(_Answer):
    """
    The outcome of one block of a run.

    :param is_truncated: Whether rows beyond ``row_limit`` were dropped; None if the server does not say.
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
    The outcome of one query of a report run, and the URL of its result.

    :param row_limit: The row limit, if the server returns it.
    :param is_truncated: Whether rows beyond it were dropped; None if the server does not say.
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

    :param status: The final status; None if the response, whose body is undocumented, does not contain it.
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
        """List the queries whose results were truncated at their row limit."""
        return tuple(query for query in self.queries if query.is_truncated)

    def find_failed_block(self) -> BlockOutcome | None:
        """Find the first block that failed itself, not because of another block."""
        return next(
            (block for block in self.blocks if RunStatus.parse(block.status) is RunStatus.FAILED), None
        )


class FeedEvent(_Answer):
    """
    An event in the receiver's inbox.

    :param id: Its position: a reader who has seen one id never sees a smaller one later.
    :param body: The webhook's body, as sent.
    :param traceparent: The trace that its sender sent with it.
    """

    id: Id
    source: str | None = None
    received_at: str | None = None
    traceparent: str | None = None
    body: dict[str, Any]


class FeedPage(_Answer):
    """
    A page of events.

    :param cursor: The cursor of the next page.
    """

    events: tuple[FeedEvent, ...] = ()
    cursor: Id


# What tasks and triggers exchange as JSON.


class QueryResult(TypedDict):
    """A query of a run, and the URL of its result."""

    query_id: int
    query_name: str | None
    query_result: str
    status: str | None
    row_count: int | None
    is_truncated: bool | None
    row_limit: int | None


class RunResult(TypedDict):
    """The return value of a task that ran a report."""

    report_id: str
    run_id: int | None
    status: str | None
    outputs_url: str | None
    queries: list[QueryResult]


class FoundEvent(TypedDict):
    """
    The return value of a sensor and the event of a watcher: an event of the inbox.

    ``traceparent`` is there only if it was sent.
    """

    id: int
    source: str | None
    received_at: str | None
    body: dict[str, Any]
    traceparent: NotRequired[str]


class SavedResult(TypedDict):
    """The return value of a transfer, for each file."""

    query_name: str | None
    path: str
    rows: int | None
    bytes: int
    sha256: str
    is_truncated: bool | None
    row_limit: int | None
