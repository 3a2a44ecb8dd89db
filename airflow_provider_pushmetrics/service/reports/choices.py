"""The choices of Parameter blocks: literal ones, and those from a query."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.service.models import Block, BlockResult
from airflow_provider_pushmetrics.service.models.statuses import SUCCESS
from airflow_provider_pushmetrics.service.reports.block_graph import SQL, hash_content
from airflow_provider_pushmetrics.service.reports.parameter_types import MAX_CHOICES, Parameter
from airflow_provider_pushmetrics.service.results.columns import read_values
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.results.values import write_text

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
        return _read_query_choices(session, results, block.report_id, choices["query"], MAX_CHOICES)
    except UnknownChoicesError:
        return Choices(is_complete=False)


def set_query_choices(
    session: Session,
    results: ResultStore,
    report_id: int,
    parameters: Iterable[Parameter],
    given: Collection[str],
) -> list[Parameter]:
    """
    Set the choices of the parameters that have a value and get their choices from a query.

    :param given: The names of the parameters that have a value.
    """
    return [
        _set_choices(session, results, report_id, one, one.choices_query)
        if one.choices_query is not None and one.name in given
        else one
        for one in parameters
    ]


def _set_choices(
    session: Session, results: ResultStore, report_id: int, parameter: Parameter, query: str
) -> Parameter:
    try:
        found = _read_query_choices(session, results, report_id, query, MAX_QUERY_CHOICES)
        if not found.is_complete:
            raise UnknownChoicesError(
                f"the query {query!r} has more than {MAX_QUERY_CHOICES:,} values, or was truncated at its"
                " limit"
            )
    except UnknownChoicesError as error:
        return parameter.with_choices((), str(error))
    return parameter.with_choices(found.values)


def _read_query_choices(
    session: Session, results: ResultStore, report_id: int, query: str, limit: int
) -> Choices:
    """
    Read the different values in the first column of the newest result of a query.

    :raises UnknownChoicesError: if there is no query, or no result of it as it is now.
    """
    block = session.scalar(
        select(Block).where(Block.report_id == report_id, Block.name == query, Block.type == SQL)
    )
    if block is None:
        raise UnknownChoicesError(f"there is no query {query!r} in the report")
    # Not what it gave before it was changed, nor what other SQL gave that was tried in its place.
    is_current = (BlockResult.content_hash == hash_content(block.content)).label("is_current")
    newest = (
        select(BlockResult.result_file, BlockResult.is_truncated, is_current)
        .where(BlockResult.block_id == block.id, BlockResult.status == SUCCESS)
        .where(BlockResult.result_file.is_not(None))
        .order_by(is_current.desc(), BlockResult.id.desc())
    )
    row = session.execute(newest.limit(1)).first()
    if row is not None and not row.is_current:
        raise UnknownChoicesError(f"the query {query!r} has not run since it was changed: run it first")
    values = None if row is None else _read_first_column(results, row.result_file, limit)
    if row is None or values is None:
        raise UnknownChoicesError(f"the query {query!r} has no result: run it first")
    return Choices(tuple(values[:limit]), len(values) <= limit and not row.is_truncated)


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
