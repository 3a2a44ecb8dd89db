"""
The webhook events of PushMetrics: the only module that defines their names and fields.

``parse_event`` returns one of the eight models below, or :class:`UnknownEvent` for a
name that this version does not know. Fields without a model are kept, so an event is written
back with the same meaning: ``event.model_dump(mode="json", exclude_unset=True)``.

Source of every name and field: the PushMetrics documentation, "Webhooks", "Events and Payloads".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    field_serializer,
)

from airflow_provider_pushmetrics.event_ids import find_query_run_id, find_report_run_id
from airflow_provider_pushmetrics.exceptions import InvalidEventError


class _Base(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class Event(_Base):
    """
    The fields of every event.

    :param event: The event's name, such as ``report.run``.
    :param workspace_id: The workspace where it happened.
    :param workspace_name: That workspace's name. The French and Spanish documentation says ``collection_id``
        and ``collection_name`` for the two; they are read as the same.
    :param timestamp: When it happened, with a zone.
    """

    event: str
    workspace_id: int | None = Field(
        default=None, validation_alias=AliasChoices("workspace_id", "collection_id")
    )
    workspace_name: str | None = Field(
        default=None, validation_alias=AliasChoices("workspace_name", "collection_name")
    )
    timestamp: datetime | None = None

    @field_serializer("timestamp")
    def _write_timestamp(self, timestamp: datetime | None) -> str | None:
        """Write ``+00:00`` instead of pydantic's ``Z``, as in the documentation."""
        return None if timestamp is None else timestamp.isoformat()


class UnknownEvent(Event):
    """An event with a name that this version does not know."""


class _ReportEvent(Event):
    report_id: int
    report_name: str | None = None


class _QueryEvent(Event):
    query_id: int
    query_name: str | None = None
    report_id: int
    report_name: str | None = None


class ReportCreated(_ReportEvent):
    """A report was created."""

    event: Literal["report.created"]
    report_description: str | None = None


class ReportUpdated(_ReportEvent):
    """A report was changed."""

    event: Literal["report.updated"]
    report_description: str | None = None


class ReportDeleted(_ReportEvent):
    """A report was deleted."""

    event: Literal["report.deleted"]


class QueryResultLink(_Base):
    """
    The URL of the result of one query of a report run.

    :param query_id: The query.
    :param query_name: Its name.
    :param query_result: The URL of its result; fetched with the API token.
    """

    query_id: int
    query_name: str | None = None
    query_result: str


class ReportRun(_ReportEvent):
    """
    A whole report was executed, by a schedule, by its trigger or manually.

    :param report_notebook_outputs: The URL of the outputs of all its blocks.
    :param queries: The result of each query, in the report's order; may be empty.
    """

    event: Literal["report.run"]
    report_notebook_outputs: str
    queries: tuple[QueryResultLink, ...] = ()

    @property
    def run_id(self) -> int | None:
        """The report run's id, from its URL."""
        return find_report_run_id(self.report_notebook_outputs)


class QueryCreated(_QueryEvent):
    """A query was created."""

    event: Literal["query.created"]


class QueryUpdated(_QueryEvent):
    """A query was changed."""

    event: Literal["query.updated"]


class QueryDeleted(_QueryEvent):
    """A query was deleted."""

    event: Literal["query.deleted"]


class QueryRun(_QueryEvent):
    """
    A query was executed by itself; never sent for a query that ran inside a report.

    :param query_result: The URL of its result.
    """

    event: Literal["query.run"]
    query_result: str

    @property
    def run_id(self) -> int | None:
        """The query run's id, from its URL. Query runs and report runs have separate numbers."""
        return find_query_run_id(self.query_result)


EVENT_MODELS: Mapping[str, type[Event]] = {
    "report.created": ReportCreated,
    "report.updated": ReportUpdated,
    "report.deleted": ReportDeleted,
    "report.run": ReportRun,
    "query.created": QueryCreated,
    "query.updated": QueryUpdated,
    "query.deleted": QueryDeleted,
    "query.run": QueryRun,
}
EVENT_NAMES = tuple(EVENT_MODELS)


def _get_tag(value: Any) -> str | None:
    name = value.get("event") if isinstance(value, Mapping) else getattr(value, "event", None)
    if not isinstance(name, str):
        return None
    return name if name in EVENT_MODELS else "unknown"


PushMetricsEvent: TypeAlias = Annotated[
    Annotated[ReportCreated, Tag("report.created")]
    | Annotated[ReportUpdated, Tag("report.updated")]
    | Annotated[ReportDeleted, Tag("report.deleted")]
    | Annotated[ReportRun, Tag("report.run")]
    | Annotated[QueryCreated, Tag("query.created")]
    | Annotated[QueryUpdated, Tag("query.updated")]
    | Annotated[QueryDeleted, Tag("query.deleted")]
    | Annotated[QueryRun, Tag("query.run")]
    | Annotated[UnknownEvent, Tag("unknown")],
    Discriminator(_get_tag),
]

_ADAPTER: TypeAdapter[PushMetricsEvent] = TypeAdapter(PushMetricsEvent)


def parse_event(body: bytes | str | Mapping[str, Any]) -> PushMetricsEvent:
    """
    Read an event from a webhook body, or from the object that the body holds.

    :raises InvalidEventError: if it is not a JSON object with a name in ``event``, or lacks a required
        field.
    """
    try:
        if isinstance(body, bytes | str):
            return _ADAPTER.validate_json(body)
        return _ADAPTER.validate_python(dict(body))
    except ValidationError as error:
        raise InvalidEventError(_describe(error)) from None


def _describe(error: ValidationError) -> str:
    """Describe the invalid fields, but never their values: a body may contain secrets."""
    faults = "; ".join(
        f"{'.'.join(str(part) for part in fault['loc']) or 'body'}: {fault['msg']}"
        for fault in error.errors(include_input=False, include_url=False, include_context=False)[:5]
    )
    return (
        f"not a PushMetrics event: {faults}. An event is a JSON object with its name in 'event', such as"
        " 'report.run', and the documented fields of that name."
    )
