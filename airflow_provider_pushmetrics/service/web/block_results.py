"""One block's result for a page: some of its rows, or its chart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Literal, TypeAlias
from urllib.parse import quote

import pyarrow as pa
from fastapi import HTTPException, Query, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session
from typing_extensions import TypedDict

from airflow_provider_pushmetrics.service.accounts.authentication import Principal
from airflow_provider_pushmetrics.service.api.conventions.access import Caller, Parts
from airflow_provider_pushmetrics.service.api.conventions.lookup import NOT_FOUND, find_by_reference
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.conventions.shapes import answer
from airflow_provider_pushmetrics.service.api.conventions.threads import RESULT_THREADS
from airflow_provider_pushmetrics.service.api.results import (
    CACHE_HEADERS,
    NO_LONGER_KEPT,
    CsvQuery,
    WantedResult,
    answer_rows,
    build_header,
    is_known,
)
from airflow_provider_pushmetrics.service.api.schemas.results import ResultColumn
from airflow_provider_pushmetrics.service.charts.kept_pictures import read_pictures
from airflow_provider_pushmetrics.service.models import BlockResult, Run, StandaloneQueryRun
from airflow_provider_pushmetrics.service.models.statuses import SUCCESS
from airflow_provider_pushmetrics.service.reports.block_graph import CHART, SQL
from airflow_provider_pushmetrics.service.results.arrow_types import describe_type
from airflow_provider_pushmetrics.service.results.cells import write_cells
from airflow_provider_pushmetrics.service.results.encoders.formats import EXTENSIONS
from airflow_provider_pushmetrics.service.results.sorting import RowOrder, can_sort, select_rows
from airflow_provider_pushmetrics.service.storage.ids import MAX_INTEGER_ID, parse_id

router = make_router("/app/results")

MAX_PAGE_ROWS = 500
MAX_OFFSET = 2**53 - 1
"""The largest integer that is exact in JavaScript: more than any result has rows."""
MAX_SEARCH_LENGTH = 500
MAX_PAGE_CELL_LENGTH = 2_000

Extension: TypeAlias = Annotated[
    Literal["csv", "xlsx", "json", "ndjson", "parquet", "arrow"], Query(alias="format")
]

Kind: TypeAlias = Literal["run", "block_run"]

IMAGE_HEADERS = {
    # Opened directly, an image is a document of our origin: it must not run or load anything.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}


@answer
class ResultRows(TypedDict):
    """Some rows of a query's result; each cell is text, because JavaScript's numbers would lose digits."""

    columns: list[ResultColumn]
    row_count: int
    row_limit: int | None
    is_truncated: bool
    found_count: int
    """The number of rows that the search found; all without one."""
    can_sort: bool
    """Whether the result is small enough to be searched and sorted."""
    offset: int
    rows: list[list[str | None]]


@router.get("/{kind}/{run_id}/{block_uid}/rows")
async def get_rows(
    kind: Kind,
    run_id: str,
    block_uid: str,
    parts: Parts,
    caller: Caller,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_ROWS)] = 100,
    search: Annotated[str, Query(max_length=MAX_SEARCH_LENGTH)] = "",
    column: Annotated[int | None, Query(ge=0, le=MAX_OFFSET)] = None,
    is_descending: bool = False,
) -> ResultRows:
    """Return some rows of a query's result, each as a list of texts."""
    order = RowOrder(search, column, is_descending)

    def read() -> ResultRows:
        with parts.database.reading() as session:
            result = _find_result(session, caller, kind, run_id, block_uid)
            name = result.result_file if result.type == SQL else None
        if name is None:
            raise HTTPException(404, NOT_FOUND)
        with parts.results.open(name) as file:
            found_count, batches = select_rows(file, order, offset, limit)
            return {
                "columns": [{"name": one.name, "type": describe_type(one.type)} for one in file.schema],
                "row_count": file.row_count,
                "row_limit": file.truncation.row_limit,
                "is_truncated": file.truncation.is_truncated,
                "found_count": found_count,
                "can_sort": can_sort(file),
                "offset": offset,
                "rows": list(write_rows(batches)),
            }

    return await RESULT_THREADS.run(read)


@router.get("/{kind}/{run_id}/{block_uid}/download")
async def download(
    kind: Kind,
    run_id: str,
    block_uid: str,
    extension: Extension,
    request: Request,
    parts: Parts,
    caller: Caller,
    csv: CsvQuery,
) -> Response:
    """Return a query's whole result as a file."""

    def answer() -> Response:
        with parts.database.reading() as session:
            result = _find_result(session, caller, kind, run_id, block_uid)
            if result.status != SUCCESS or result.result_file is None or result.type != SQL:
                raise HTTPException(404, NOT_FOUND)
            wanted = WantedResult(build_header(result), EXTENSIONS[extension], result.result_file)
        answered = answer_rows(parts, request, wanted, csv)
        name = quote(f"{result.name}-{wanted.header.run_id}.{extension}", safe="")
        answered.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{name}"
        return answered

    return await RESULT_THREADS.run(answer)


@router.get("/{kind}/{run_id}/{block_uid}/chart.svg")
async def get_chart_image(
    kind: Kind,
    run_id: str,
    block_uid: str,
    request: Request,
    parts: Parts,
    caller: Caller,
    is_dark: bool = False,
) -> Response:
    """Return the chart of a block as the image that its run drew."""

    def answer() -> Response:
        with parts.database.reading() as session:
            file = _find_chart(session, caller, kind, run_id, block_uid).result_file
        if file is None:
            raise HTTPException(404, NOT_FOUND)
        drawn = read_pictures(parts.results, file)
        image = drawn.dark if is_dark else drawn.light
        return _answer_if_new(request, image, "image/svg+xml", IMAGE_HEADERS)

    return await RESULT_THREADS.run(answer)


@router.get("/{kind}/{run_id}/{block_uid}/chart.json")
async def get_chart(
    kind: Kind, run_id: str, block_uid: str, request: Request, parts: Parts, caller: Caller
) -> Response:
    """Return the chart of a block as Vega-Lite with its rows, for the page to draw."""

    def answer() -> Response:
        with parts.database.reading() as session:
            output = _find_chart(session, caller, kind, run_id, block_uid).output
        if output is None:
            raise HTTPException(404, NO_LONGER_KEPT)
        return _answer_if_new(request, output.encode(), "application/json", {})

    return await RESULT_THREADS.run(answer)


def _answer_if_new(
    request: Request, content: bytes, media_type: str, own_headers: Mapping[str, str]
) -> Response:
    """Answer with what a browser has not got yet: it asks each time, since its user may have signed out."""
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {**CACHE_HEADERS, **own_headers, "X-Content-Type-Options": "nosniff", "ETag": etag}
    if is_known(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)


def _find_chart(session: Session, caller: Principal, kind: Kind, run_id: str, block_uid: str) -> BlockResult:
    result = _find_result(session, caller, kind, run_id, block_uid)
    if result.type != CHART or result.status != SUCCESS:
        raise HTTPException(404, NOT_FOUND)
    return result


def write_rows(batches: Iterable[pa.RecordBatch]) -> Iterator[list[str | None]]:
    """Write rows, each cell as text: JavaScript's numbers would lose digits."""
    for batch in batches:
        columns = [[_cut(cell) for cell in write_cells(column).to_pylist()] for column in batch.columns]
        yield from (list(row) for row in zip(*columns, strict=True))


def _cut(cell: str | None) -> str | None:
    if cell is None or len(cell) <= MAX_PAGE_CELL_LENGTH:
        return cell
    return f"{cell[:MAX_PAGE_CELL_LENGTH]}… ({len(cell):,} characters)"


def _find_result(session: Session, caller: Principal, kind: Kind, run_id: str, block_uid: str) -> BlockResult:
    wanted = select(BlockResult).where(BlockResult.block_uid == block_uid)
    if kind == "run":
        run = find_by_reference(session, Run, run_id, caller)
        wanted = wanted.where(BlockResult.run_id == run.id)
    else:
        number = parse_id(run_id)
        is_possible = number is not None and number <= MAX_INTEGER_ID
        block_run = session.get(StandaloneQueryRun, number) if is_possible else None
        if block_run is None or block_run.workspace_id != caller.workspace_id:
            raise HTTPException(404, NOT_FOUND)
        wanted = wanted.where(BlockResult.query_run_id == block_run.id)
    result = session.scalar(wanted)
    if result is None:
        raise HTTPException(404, NOT_FOUND)
    return result
