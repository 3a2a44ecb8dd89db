"""What a page shows of one block's result: some of its rows, or its chart drawn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.api.access import Caller, Parts
from airflow_provider_pushmetrics.service.api.lookup import NOT_FOUND, find_by_reference
from airflow_provider_pushmetrics.service.api.results import NO_LONGER_KEPT, answer_rows
from airflow_provider_pushmetrics.service.credentials import Principal
from airflow_provider_pushmetrics.service.ids import parse_id
from airflow_provider_pushmetrics.service.models import BlockResult, QueryRun, Run
from airflow_provider_pushmetrics.service.parts import ServiceParts
from airflow_provider_pushmetrics.service.plan import CHART
from airflow_provider_pushmetrics.service.results.formats import (
    ARROW,
    CSV,
    JSON,
    NDJSON,
    PARQUET,
    ResultHeader,
)
from airflow_provider_pushmetrics.service.results.json_rows import make_plain
from airflow_provider_pushmetrics.service.statuses import SUCCESS
from airflow_provider_pushmetrics.service.web.drawing import DrawingError, draw_in_turn

router = APIRouter(prefix="/app/results")

MAX_ROWS = 500
MAX_CELL_LENGTH = 2_000
MAX_EXACT_INTEGER = 2**53 - 1
"""JavaScript's numbers are exact up to here: https://tc39.es/ecma262/#sec-number.max_safe_integer."""

MEDIA_TYPES = {"csv": CSV, "json": JSON, "ndjson": NDJSON, "parquet": PARQUET, "arrow": ARROW}
Extension: TypeAlias = Annotated[Literal["csv", "json", "ndjson", "parquet", "arrow"], Query(alias="format")]

Kind: TypeAlias = Literal["run", "block_run"]

IMAGE_HEADERS = {
    # Opened by itself, an image is a document of our origin: it must not run or load anything.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, max-age=3600",  # a result never changes
}


@router.get("/{kind}/{run_id}/{block_uid}/rows")
def get_rows(
    kind: Kind,
    run_id: str,
    block_uid: str,
    parts: Parts,
    caller: Caller,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_ROWS)] = 100,
) -> dict[str, Any]:
    """Give some rows of a query's result, each as a list of values that a page can show."""
    with parts.database.reading() as session:
        result = _find_result(session, caller, kind, run_id, block_uid)
        name = result.result_file
    if name is None:
        raise HTTPException(404, NOT_FOUND)
    try:
        file = parts.results.open_file(name)
    except FileNotFoundError:
        raise HTTPException(404, NO_LONGER_KEPT) from None
    with file:
        return {
            "columns": [{"name": column.name, "type": str(column.type)} for column in file.schema_arrow],
            "row_count": file.metadata.num_rows,
            "offset": offset,
            "rows": list(read_rows(file, offset, limit)),
        }


@router.get("/{kind}/{run_id}/{block_uid}/download")
def download(
    kind: Kind,
    run_id: str,
    block_uid: str,
    extension: Extension,
    request: Request,
    parts: Parts,
    caller: Caller,
) -> Response:
    """Give a query's whole result as a file, streamed."""
    with parts.database.reading() as session:
        result = _find_result(session, caller, kind, run_id, block_uid)
        if result.status != SUCCESS or result.result_file is None or result.query_id is None:
            raise HTTPException(404, NOT_FOUND)
        header = ResultHeader(
            result.query_id, result.name, result.run_id or result.query_run_id or 0, SUCCESS
        )
        answer = answer_rows(parts, request, header, MEDIA_TYPES[extension], result.result_file)
    name = quote(f"{result.name}-{header.run_id}.{extension}", safe="")
    answer.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{name}"
    return answer


@router.get("/{kind}/{run_id}/{block_uid}/chart.svg")
async def get_chart(
    kind: Kind, run_id: str, block_uid: str, parts: Parts, caller: Caller, is_dark: bool = False
) -> Response:
    """Give the chart of a block as an image."""
    spec = await run_in_threadpool(_read_chart, parts, caller, kind, run_id, block_uid)
    try:
        image = await draw_in_turn(spec, is_dark=is_dark)
    except DrawingError as error:
        raise HTTPException(422, str(error)) from None
    return Response(image, media_type="image/svg+xml", headers=IMAGE_HEADERS)


def _read_chart(parts: ServiceParts, caller: Principal, kind: Kind, run_id: str, block_uid: str) -> str:
    with parts.database.reading() as session:
        result = _find_result(session, caller, kind, run_id, block_uid)
        if result.type != CHART or result.status != SUCCESS or result.output is None:
            raise HTTPException(404, NOT_FOUND)
        return result.output


def read_rows(file: pq.ParquetFile, offset: int, limit: int) -> Iterator[list[Any]]:
    """Read some rows of a result, and of the groups before them nothing."""
    for batch in _read_batches(file, offset, limit):
        columns = [[_make_cell(value) for value in column.to_pylist()] for column in batch.columns]
        yield from (list(row) for row in zip(*columns, strict=True))


def _read_batches(file: pq.ParquetFile, offset: int, limit: int) -> Iterator[pa.RecordBatch]:
    metadata, group = file.metadata, 0
    while group < metadata.num_row_groups and offset >= metadata.row_group(group).num_rows:
        offset -= metadata.row_group(group).num_rows
        group += 1
    for batch in file.iter_batches(MAX_ROWS, row_groups=list(range(group, metadata.num_row_groups))):
        wanted = batch.slice(offset, limit)
        offset, limit = max(offset - batch.num_rows, 0), limit - wanted.num_rows
        yield wanted
        if limit <= 0:
            return


def _make_cell(value: Any) -> Any:
    value = make_plain(value)
    if isinstance(value, int) and abs(value) > MAX_EXACT_INTEGER:
        return str(value)
    if isinstance(value, str) and len(value) > MAX_CELL_LENGTH:
        return value[:MAX_CELL_LENGTH] + "…"
    return value


def _find_result(session: Session, caller: Principal, kind: Kind, run_id: str, block_uid: str) -> BlockResult:
    wanted = select(BlockResult).where(BlockResult.block_uid == block_uid)
    if kind == "run":
        run = find_by_reference(session, Run, run_id, caller)
        wanted = wanted.where(BlockResult.run_id == run.id)
    else:
        number = parse_id(run_id)
        block_run = None if number is None else session.get(QueryRun, number)
        if block_run is None or block_run.workspace_id != caller.workspace_id:
            raise HTTPException(404, NOT_FOUND)
        wanted = wanted.where(BlockResult.query_run_id == block_run.id)
    result = session.scalar(wanted)
    if result is None:
        raise HTTPException(404, NOT_FOUND)
    return result
