"""Blocks: running one by itself."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field

from airflow_provider_pushmetrics.service.api.access import Caller, Parts
from airflow_provider_pushmetrics.service.api.lookup import find_by_reference
from airflow_provider_pushmetrics.service.models import Block
from airflow_provider_pushmetrics.service.runs import accept_query_run

router = APIRouter(prefix="/api/v1/block", tags=["block"])


class BlockRunRequest(BaseModel):
    """
    How to run a block.

    :param parameters: Values for the report's parameters.
    """

    parameters: dict[str, Any] = Field(default_factory=dict)


@router.post("/{reference}/run")
def run_block(
    reference: str, parts: Parts, caller: Caller, wanted: BlockRunRequest | None = None
) -> dict[str, int]:
    """Run a query by itself, and what it needs; the answer names the query run."""
    with parts.database.reading() as session:
        block = find_by_reference(session, Block, reference, caller)
        query = block.query
    if query is None:
        raise HTTPException(422, f"Block {block.name!r} is no query: only queries run by themselves")
    run = accept_query_run(parts.database, block.id, wanted.parameters if wanted else {})
    parts.engine.wake()
    return {"run_id": run.id}
