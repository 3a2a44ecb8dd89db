"""The choices of Parameter blocks: literal ones, and those from a query."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.service.models import Block, BlockResult
from airflow_provider_pushmetrics.service.models.statuses import SUCCESS
from airflow_provider_pushmetrics.service.reports.block_graph import PARAMETER, SQL, hash_content
from airflow_provider_pushmetrics.service.results.columns import read_values
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.results.values import write_text
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.serving.parameter_types import MAX_CHOICES, Parameter

MAX_QUERY_CHOICES = 100_000
"""If a query has more different values, no value is accepted."""


class UnknownChoicesError(PushMetricsError):
    """The choices of a query are unknown."""


@dataclass(frozen=True)
class Choices:
    """
    The values that a parameter may have.

    :param is_complete: Whether there are no others.
    """

    values: tuple[Any, ...] = ()
    is_complete: bool = True


def list_choices(session: Session, results: ResultStore, block: Block) -> Choices:
    """List at most ``MAX_CHOICES`` values that a parameter may have; none if it may have any."""
    choices = block.content.get("choices")
    if not isinstance(choices, dict):
        return Choices(tuple(choices or ()))
    try:
        newest = _find_query_result(session, block.report_id, choices["query"])
        return _read_query_choices(results, newest, choices["query"], MAX_CHOICES)
    except UnknownChoicesError:
        return Choices(is_complete=False)


def needs_choices(parameters: Iterable[Parameter], given: Collection[str]) -> bool:
    """Return whether a parameter that has a value gets its choices from a query, and has not got them yet."""
    return any(_needs_choices(one, given) for one in parameters)


def set_query_choices(
    database: Database,
    results: ResultStore,
    report_id: int,
    parameters: Iterable[Parameter],
    given: Collection[str],
) -> list[Parameter]:
    """
    Set the choices of the parameters that have a value and get their choices from a query.

    Their results are read outside of a transaction: the storage may be slow.

    :param given: The names of the parameters that have a value.
    :raises ResultError: if a result is damaged.
    :raises ObjectStoreError: if the object storage does not answer.
    """
    return [
        _set_choices(database, results, report_id, one, str(one.choices_query))
        if _needs_choices(one, given)
        else one
        for one in parameters
    ]


def _needs_choices(parameter: Parameter, given: Collection[str]) -> bool:
    return parameter.choices_query is not None and parameter.choices is None and parameter.name in given


def list_choice_results(session: Session) -> list[BlockResult]:
    """List the results that parameters take their choices from now, in all reports."""
    found = []
    for parameter in session.scalars(select(Block).where(Block.type == PARAMETER)):
        query = Parameter.read(parameter.name, parameter.content).choices_query
        block = None if query is None else _find_query(session, parameter.report_id, query)
        if block is not None:
            found.append(_find_newest(session, _is_current(block)))
    return [one for one in found if one is not None]


def _set_choices(
    database: Database, results: ResultStore, report_id: int, parameter: Parameter, query: str
) -> Parameter:
    try:
        with database.reading() as session:
            newest = _find_query_result(session, report_id, query)
        found = _read_query_choices(results, newest, query, MAX_QUERY_CHOICES)
        if not found.is_complete:
            raise UnknownChoicesError(
                f"the query {query!r} has more than {MAX_QUERY_CHOICES:,} values, or was truncated at its"
                " limit"
            )
    except UnknownChoicesError as error:
        return parameter.with_choices((), str(error))
    return parameter.with_choices(found.values)


def _find_query_result(session: Session, report_id: int, query: str) -> BlockResult:
    """
    Find the newest result of a query as it is now.

    :raises UnknownChoicesError: if there is no query, or no such result.
    """
    block = _find_query(session, report_id, query)
    if block is None:
        raise UnknownChoicesError(f"there is no query {query!r} in the report")
    newest = _find_newest(session, _is_current(block))
    if newest is None and _find_newest(session, BlockResult.block_id == block.id) is not None:
        raise UnknownChoicesError(f"the query {query!r} has not run since it was changed: run it first")
    if newest is None:
        raise UnknownChoicesError(_describe_missing(query))
    return newest


def _read_query_choices(results: ResultStore, newest: BlockResult, query: str, limit: int) -> Choices:
    """
    Read the different values in the first column of a result.

    :raises UnknownChoicesError: if the result was deleted.
    """
    values = _read_first_column(results, str(newest.result_file), limit)
    if values is None:
        raise UnknownChoicesError(_describe_missing(query))
    return Choices(tuple(values[:limit]), len(values) <= limit and not newest.is_truncated)


def _describe_missing(query: str) -> str:
    return f"the query {query!r} has no result: run it first"


def _find_query(session: Session, report_id: int, name: str) -> Block | None:
    return session.scalar(
        select(Block).where(Block.report_id == report_id, Block.name == name, Block.type == SQL)
    )


def _is_current(block: Block) -> ColumnElement[bool]:
    """Not what it gave before it was changed, nor what other SQL gave that was tried in its place."""
    return and_(BlockResult.block_id == block.id, BlockResult.content_hash == hash_content(block.content))


def _find_newest(session: Session, whose: ColumnElement[bool]) -> BlockResult | None:
    """Find the newest result with rows. It is near the end of an index, however many there are."""
    found = select(BlockResult).where(
        whose, BlockResult.status == SUCCESS, BlockResult.result_file.is_not(None)
    )
    return session.scalar(found.order_by(BlockResult.id.desc()).limit(1))


def _read_first_column(results: ResultStore, file: str, limit: int) -> list[Any] | None:
    """Read at most one value more than the limit; None if the file was deleted."""
    found: dict[Any, None] = {}
    try:
        with results.open(file) as result:
            for batch in result.read_batches():
                if not batch.num_columns:
                    return []
                for value in read_values(batch.column(0)):
                    if value is not None:
                        found[value if isinstance(value, bool | int) else write_text(value)] = None
                    if len(found) > limit:
                        return list(found)
    except FileNotFoundError:
        return None
    return list(found)
