"""
Results, at the URLs that events carry.

PushMetrics' documentation says GET in its text and POST in its example: both have the same answer.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Annotated, TypeAlias, TypeVar

from fastapi import Depends, HTTPException, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.accounts.authentication import Principal
from airflow_provider_pushmetrics.service.api.conventions.access import Caller, Parts
from airflow_provider_pushmetrics.service.api.conventions.errors import Responses
from airflow_provider_pushmetrics.service.api.conventions.files import (
    ResultResponse,
    answer_file,
    read_chunks,
)
from airflow_provider_pushmetrics.service.api.conventions.lookup import NOT_FOUND, find_by_reference
from airflow_provider_pushmetrics.service.api.conventions.pages import show_run_as_page
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.conventions.shapes import build_answer
from airflow_provider_pushmetrics.service.api.conventions.threads import RESULT_THREADS
from airflow_provider_pushmetrics.service.api.schemas.messages import SentMessage
from airflow_provider_pushmetrics.service.api.schemas.results import (
    BlockOutput,
    QueryOutput,
    QueryResultDetails,
    RunOutputs,
    UnfinishedRun,
)
from airflow_provider_pushmetrics.service.models import AnyRun, BlockResult, Report, Run, StandaloneQueryRun
from airflow_provider_pushmetrics.service.models.statuses import FINISHED, SUCCESS
from airflow_provider_pushmetrics.service.results.encoders.formats import (
    ARROW,
    CSV,
    FORMATS,
    JSON,
    NDJSON,
    PARQUET,
    PLAIN_CSV,
    XLSX,
    Chunk,
    CsvOptions,
    ResultHeader,
    choose_format,
    write_arrow,
    write_csv,
    write_empty_json,
    write_json,
    write_ndjson,
)
from airflow_provider_pushmetrics.service.results.encoders.xlsx import open_xlsx
from airflow_provider_pushmetrics.service.results.files.base import FoundFile
from airflow_provider_pushmetrics.service.results.links import ResultLinks
from airflow_provider_pushmetrics.service.results.store import open_result
from airflow_provider_pushmetrics.service.results.stored_result import ResultError, StoredResult
from airflow_provider_pushmetrics.service.runtime import ServiceParts
from airflow_provider_pushmetrics.service.storage.ids import parse_id

router = make_router("/api/reports", "result")

PENDING_RETRY_SECONDS = 1
NO_LONGER_KEPT = "The result is no longer kept"

IN_REPORT_RUN = "/{report}/queries/{query}/reportRun/{run_id}"
IN_QUERY_RUN = "/{report}/queries/{query}/run/{run_id}"

ReportReference: TypeAlias = Annotated[
    str, Path(description="The id or the uid of the report", examples=["4"])
]
QueryId: TypeAlias = Annotated[str, Path(description="The id of the query", examples=["5"])]
RunId: TypeAlias = Annotated[str, Path(description="The id of the run", examples=["3"])]

UNFINISHED: Responses = {
    202: {
        "model": UnfinishedRun,
        "description": "The run has not finished; `Retry-After` says when to ask again",
    }
}
RESULT: Responses = {
    200: {
        "model": QueryResultDetails,
        "description": "The result. In formats other than JSON it has the rows only",
        "content": {name: {"schema": {"type": "string"}} for name in FORMATS if name != JSON},
    },
    304: {"description": "The result is the one that the header `If-None-Match` names"},
    **UNFINISHED,
}

CACHE_HEADERS = {
    # Cached by the client only, and revalidated each time: permissions can end, and results are cleaned up.
    "Cache-Control": "private, no-cache",
    "Vary": "Accept, Accept-Encoding, Authorization, Cookie",
}
TRUNCATED_HEADER = "X-PushMetrics-Truncated"
ROW_LIMIT_HEADER = "X-PushMetrics-Row-Limit"


def read_csv_options(
    bom: Annotated[
        bool, Query(description="Begin CSV with a byte order mark, by which Excel recognizes UTF-8")
    ] = False,
    guard: Annotated[
        bool, Query(description="Put `'` before texts in CSV that a spreadsheet would take for formulas")
    ] = False,
) -> CsvOptions:
    return CsvOptions(bom=bom, guard=guard)


@dataclass(frozen=True)
class WantedResult:
    """
    A result that was asked for.

    :param file: Its file in the result store.
    """

    header: ResultHeader
    media_type: str
    file: str


CsvQuery: TypeAlias = Annotated[CsvOptions, Depends(read_csv_options)]

AnyKind = TypeVar("AnyKind", Run, StandaloneQueryRun)


@router.get(
    "/{report}/run/{run_id}",
    operation_id="get_run_outputs",
    response_model=RunOutputs,
    dependencies=[Depends(show_run_as_page)],
    responses={303: {"description": "The page of the run, for a browser"}, **UNFINISHED},
)
@router.post(
    "/{report}/run/{run_id}",
    operation_id="get_run_outputs_by_post",
    response_model=RunOutputs,
    responses=UNFINISHED,
)
def get_run_outputs(
    report: ReportReference, run_id: RunId, parts: Parts, caller: Caller
) -> RunOutputs | Response:
    """Show the outputs of all blocks of a run that has finished."""
    with parts.database.reading() as session:
        run = _find_run(session, Run, report, run_id, caller)
        if run.status not in FINISHED:
            return _answer_unfinished(run)
        return build_outputs(run, parts.links)


@router.get(IN_REPORT_RUN, operation_id="get_query_result_of_run", responses=RESULT)
@router.post(IN_REPORT_RUN, operation_id="get_query_result_of_run_by_post", responses=RESULT)
async def get_query_result_of_run(
    report: ReportReference,
    query: QueryId,
    run_id: RunId,
    request: Request,
    parts: Parts,
    caller: Caller,
    csv: CsvQuery,
) -> Response:
    """Give the result of one query of a run of a report, in the format that the header ``Accept`` names."""

    def find(session: Session) -> WantedResult | Response:
        return _find_result(request, _find_run(session, Run, report, run_id, caller), parse_id(query))

    return await _answer_result(parts, request, find, csv)


@router.get(IN_QUERY_RUN, operation_id="get_query_result", responses=RESULT)
@router.post(IN_QUERY_RUN, operation_id="get_query_result_by_post", responses=RESULT)
async def get_query_result(
    report: ReportReference,
    query: QueryId,
    run_id: RunId,
    request: Request,
    parts: Parts,
    caller: Caller,
    csv: CsvQuery,
) -> Response:
    """Give the result of a query that ran by itself, in the format that the header ``Accept`` names."""

    def find(session: Session) -> WantedResult | Response:
        run = _find_run(session, StandaloneQueryRun, report, run_id, caller)
        if run.query_id != parse_id(query):
            raise HTTPException(404, NOT_FOUND)
        return _find_result(request, run, run.query_id)

    return await _answer_result(parts, request, find, csv)


def build_outputs(run: Run, links: ResultLinks) -> RunOutputs:
    rows = [(result, _link(result, run, links)) for result in run.results]
    return build_answer(
        RunOutputs,
        run,
        report_name=run.report.name,
        run_id=run.id,
        started_at=run.started_on,
        finished_at=run.finished_on,
        duration_seconds=_measure(run),
        blocks=[_build_block(result, link) for result, link in rows],
        queries=[_build_query(result, link) for result, link in rows if result.query_id is not None],
    )


def _build_block(result: BlockResult, link: str | None) -> BlockOutput:
    return build_answer(
        BlockOutput,
        result,
        messages=list_messages(result),
        row_limit=result.max_rows,
        query_result=link,
        duration_seconds=_measure(result),
    )


def list_messages(result: BlockResult) -> list[SentMessage]:
    """List the messages of a block, each with its status so far."""
    return [build_answer(SentMessage, message) for message in result.messages]


def _build_query(result: BlockResult, link: str | None) -> QueryOutput:
    return build_answer(
        QueryOutput, result, query_name=result.name, query_result=link, row_limit=result.max_rows
    )


def _link(result: BlockResult, run: Run, links: ResultLinks) -> str | None:
    if result.query_id is None:
        return None
    return links.link_query_in_report(run.report_id, result.query_id, run.id)


def _measure(row: AnyRun | BlockResult) -> float | None:
    if row.started_on is None or row.finished_on is None:
        return None
    return round((row.finished_on - row.started_on).total_seconds(), 6)


def _find_run(session: Session, kind: type[AnyKind], report: str, run_id: str, caller: Principal) -> AnyKind:
    owner = find_by_reference(session, Report, report, caller)
    number = parse_id(run_id)
    run = None if number is None else session.get(kind, number)
    if run is None or run.report_id != owner.id:
        raise HTTPException(404, NOT_FOUND)
    return run


def _answer_unfinished(run: AnyRun) -> Response:
    body: UnfinishedRun = {"run_id": run.id, "status": run.status}
    return JSONResponse(
        body,
        status_code=202,
        headers={"Retry-After": str(PENDING_RETRY_SECONDS)},
    )


def build_header(result: BlockResult) -> ResultHeader:
    return ResultHeader(
        query_id=result.query_id or 0,
        query_name=result.name,
        run_id=result.run_id or result.query_run_id or 0,
        status=result.status,
        error=result.error,
        max_rows=result.max_rows,
        timeout_seconds=result.timeout_seconds,
        is_truncated=result.is_truncated,
    )


async def _answer_result(
    parts: ServiceParts,
    request: Request,
    find: Callable[[Session], WantedResult | Response],
    csv: CsvOptions,
) -> Response:
    def answer() -> Response:
        with parts.database.reading() as session:
            found = find(session)
        # Without the session: a store that is away must not hold connections to the database.
        return found if isinstance(found, Response) else answer_rows(parts, request, found, csv)

    return await RESULT_THREADS.run(answer)


def _find_result(request: Request, run: AnyRun, query_id: int | None) -> WantedResult | Response:
    result = next((one for one in run.results if one.query_id == query_id), None)
    if query_id is None or (result is None and run.status in FINISHED):
        raise HTTPException(404, NOT_FOUND)
    if run.status not in FINISHED:
        return _answer_unfinished(run)
    assert result is not None
    media_type = choose_format(request.headers.get("accept"))
    if media_type is None:
        raise HTTPException(406, f"The result can be had as {', '.join(FORMATS)}")
    header = build_header(result)
    if result.status != SUCCESS:
        return _answer_failed(header, media_type)
    return WantedResult(header, media_type, str(result.result_file))


def _answer_failed(header: ResultHeader, media_type: str) -> Response:
    if media_type != JSON:
        raise HTTPException(409, f"Query {header.query_name!r} gave no result: {header.error}")
    return Response(write_empty_json(header), media_type=JSON, headers=CACHE_HEADERS)


def answer_rows(
    parts: ServiceParts, request: Request, wanted: WantedResult, csv: CsvOptions = PLAIN_CSV
) -> Response:
    """
    Give the rows of a kept result in a format, unless the client has them.

    :raises HTTPException: 404 if it was cleaned up; 406 if it does not fit into the format.
    :raises ResultError: if it is damaged.
    :raises ObjectStoreError: if the object storage does not answer.
    """
    found = parts.results.find(wanted.file)
    if found is None:
        raise HTTPException(404, NO_LONGER_KEPT)
    headers = _build_headers(wanted.header, _build_etag(wanted, found, csv))
    if is_known(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    if wanted.media_type == PARQUET:
        try:
            return answer_file(request, found, PARQUET, headers)
        except FileNotFoundError:
            raise HTTPException(404, NO_LONGER_KEPT) from None
    result = open_result(wanted.file, found)  # in a folder it is read to its end, even if it is deleted
    if wanted.media_type == XLSX:
        return _answer_xlsx(parts, result, headers)
    rows = _stream(result, wanted.header, wanted.media_type, csv)
    return ResultResponse(rows, media_type=wanted.media_type, headers=headers)


def _answer_xlsx(parts: ServiceParts, result: StoredResult, headers: dict[str, str]) -> Response:
    """Write the workbook before the answer begins, when errors can still be reported."""
    with result:
        try:
            workbook = open_xlsx(parts.results, result)
        except ResultError as error:
            raise HTTPException(406, str(error)) from None
    size = os.fstat(workbook.fileno()).st_size

    headers = {**headers, "Content-Length": str(size)}
    return ResultResponse(read_chunks(workbook), media_type=XLSX, headers=headers)


def _stream(
    result: StoredResult, header: ResultHeader, media_type: str, csv: CsvOptions
) -> Generator[Chunk, None, None]:
    writers: dict[str, Callable[[StoredResult], Iterator[Chunk]]] = {
        JSON: lambda opened: write_json(header, opened),
        NDJSON: write_ndjson,
        CSV: lambda opened: write_csv(opened, csv),
        ARROW: write_arrow,
    }
    with result:
        yield from writers[media_type](result)


def _build_headers(header: ResultHeader, etag: str) -> dict[str, str]:
    headers = {**CACHE_HEADERS, "ETag": etag, TRUNCATED_HEADER: "true" if header.is_truncated else "false"}
    if header.max_rows is not None:
        headers[ROW_LIMIT_HEADER] = str(header.max_rows)
    return headers


def _build_etag(wanted: WantedResult, found: FoundFile, csv: CsvOptions) -> str:
    """Build the ETag: results never change, and their file and format identify them."""
    identity = f"{wanted.file}\n{found.version}\n{found.size}\n{wanted.media_type}"
    if wanted.media_type == CSV and csv != PLAIN_CSV:
        identity += f"\n{csv}"
    return f'"{hashlib.sha256(identity.encode()).hexdigest()[:32]}"'


def is_known(if_none_match: str | None, etag: str) -> bool:
    """Return whether the client has it: https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2."""
    if if_none_match is None:
        return False
    known = [one.strip().removeprefix("W/") for one in if_none_match.split(",", 64)]
    return "*" in known or etag in known
