"""The choices of Parameter blocks: those that are written down, and those that a query found."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.models import Block, BlockResult
from airflow_provider_pushmetrics.service.parameter_types import MAX_CHOICES
from airflow_provider_pushmetrics.service.results.columns import read_values
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.results.values import write_text
from airflow_provider_pushmetrics.service.statuses import SUCCESS


def list_choices(session: Session, results: ResultStore, block: Block) -> list[Any]:
    """
    List the values that a parameter may have; none if it may have any.

    Those of a query are the first column of its newest result, each once, at most ``MAX_CHOICES``. They are
    offered and not enforced: the query may find others by the time of the run.
    """
    choices = block.content.get("choices")
    if not isinstance(choices, dict):
        return list(choices or ())
    newest = (
        select(BlockResult.result_file)
        .join(Block, Block.id == BlockResult.block_id)
        .where(Block.report_id == block.report_id, Block.name == choices["query"])
        .where(BlockResult.status == SUCCESS, BlockResult.result_file.is_not(None))
        .order_by(BlockResult.id.desc())
    )
    file = session.scalars(newest.limit(1)).first()
    return [] if file is None else _read_first_column(results, file)


def _read_first_column(results: ResultStore, file: str) -> list[Any]:
    found: dict[Any, None] = {}
    try:
        with results.open(file) as result:
            for batch in result.read_batches():
                if not batch.num_columns:
                    return []
                for value in read_values(batch.column(0)):
                    if value is not None:
                        found[value if isinstance(value, bool | int) else write_text(value)] = None
                    if len(found) == MAX_CHOICES:
                        return list(found)
    except FileNotFoundError:
        return []  # it was cleaned up
    return list(found)
