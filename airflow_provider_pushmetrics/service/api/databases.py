"""Databases that SQL blocks query. Their URLs are stored encrypted, and shown without passwords."""

from __future__ import annotations

from functools import partial
from typing import Annotated, TypeAlias

from fastapi import HTTPException, Query
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.engine import URL
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.accounts.authentication import Principal
from airflow_provider_pushmetrics.service.api.conventions.access import Admin, Editor, Parts
from airflow_provider_pushmetrics.service.api.conventions.fields import Reference
from airflow_provider_pushmetrics.service.api.conventions.listing import Listing, match_integer, match_text
from airflow_provider_pushmetrics.service.api.conventions.lookup import find_by_reference
from airflow_provider_pushmetrics.service.api.conventions.resources import Resource, rows_of
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.conventions.shapes import (
    OK,
    Confirmation,
    build_answer,
    build_one,
    wrap,
)
from airflow_provider_pushmetrics.service.api.conventions.threads import DATABASE_THREADS, LOOKUP_THREADS
from airflow_provider_pushmetrics.service.api.schemas.databases import (
    ChangedDatabase,
    ConnectionTest,
    ConnectionTestResponse,
    DatabaseChange,
    DatabaseList,
    DatabaseResponse,
    DatabaseRow,
    DatabaseTrial,
    FormattedSql,
    FormattedSqlResponse,
    NewDatabase,
    UnformattedSql,
)
from airflow_provider_pushmetrics.service.datasources.base import SourceError
from airflow_provider_pushmetrics.service.datasources.connection_check import check_connection
from airflow_provider_pushmetrics.service.datasources.formatting import FormattingError, format_sql
from airflow_provider_pushmetrics.service.datasources.urls import (
    build_source_url,
    describe_source,
    parse_source_url,
    restore_masked,
)
from airflow_provider_pushmetrics.service.models import DataSource
from airflow_provider_pushmetrics.service.runtime import ServiceParts

router = make_router("/api/v1/database", "database")

ANSWERS = "The database answers"

LISTING = Listing(
    order=DataSource.id,
    columns={"id": DataSource.id, "database_name": DataSource.name},
    conditions={
        ("id", "eq"): match_integer(DataSource.id, "id"),
        ("database_name", "eq"): match_text(DataSource.name),
    },
)


SkipTest: TypeAlias = Annotated[
    bool, Query(description="Save the database without testing whether it answers")
]


def build_database_row(source: DataSource, parts: ServiceParts) -> DatabaseRow:
    url = _build_url(parts, source)
    return build_answer(
        DatabaseRow,
        source,
        database_name=source.name,
        backend=url.get_backend_name(),
        sqlalchemy_uri=describe_source(url),
        expose_in_sqllab=True,
    )


Resource(
    name="database",
    plural="databases",
    rows=rows_of(DataSource),
    listing=LISTING,
    build_row=lambda source, viewer: build_database_row(source, viewer.parts),
    list_schema=DatabaseList,
    schema=DatabaseResponse,
).add_routes(router)


@router.post("/", status_code=201)
async def create_database(
    wanted: NewDatabase, parts: Parts, caller: Admin, *, skip_test: SkipTest = False
) -> DatabaseResponse:
    """Add a database. 422 contains the database's message if it cannot be used."""
    run = LOOKUP_THREADS.run if skip_test else DATABASE_THREADS.run
    return await run(lambda: _create(wanted, parts, caller, is_tried=not skip_test))


@router.post("/test_connection")
async def test_unsaved_database(wanted: DatabaseTrial, parts: Parts, caller: Admin) -> Confirmation:
    """Test a database that is not saved. 422 contains the database's message if it cannot be used."""

    def test() -> None:
        stored = None if wanted.database is None else _find(parts, str(wanted.database), caller)
        _check_url(parts, wanted.sqlalchemy_uri, stored, is_tried=True)

    await DATABASE_THREADS.run(test)
    return {"message": ANSWERS}


@router.put("/{reference}")
async def update_database(
    reference: Reference, wanted: DatabaseChange, parts: Parts, caller: Admin, *, skip_test: SkipTest = False
) -> ChangedDatabase:
    """Change the name or the URL of a database. 422 contains the database's message if it cannot be used."""
    change = partial(_update, reference, wanted, parts, caller, is_tried=not skip_test)
    if wanted.sqlalchemy_uri is None:
        return await run_in_threadpool(change)
    return await (LOOKUP_THREADS if skip_test else DATABASE_THREADS).run(change)


@router.delete("/{reference}")
def delete_database(reference: Reference, parts: Parts, caller: Admin) -> Confirmation:
    """Delete a database from the service. SQL blocks that query it fail from then on."""
    with parts.database.writing() as session:
        session.delete(find_by_reference(session, DataSource, reference, caller))
    return OK


@router.post("/{reference}/test")
async def test_database(reference: Reference, parts: Parts, caller: Editor) -> ConnectionTestResponse:
    """Test whether a database answers a query."""

    def test() -> ConnectionTest:
        source_id = _find(parts, reference, caller).id
        try:
            check_connection(parts.sources.open(source_id))
        except SourceError as error:
            return ConnectionTest(is_reachable=False, message=str(error))
        return ConnectionTest(is_reachable=True, message=ANSWERS)

    return wrap(await DATABASE_THREADS.run(test))


@router.post("/{reference}/format_sql")
def format_query(
    reference: Reference, wanted: UnformattedSql, parts: Parts, caller: Editor
) -> FormattedSqlResponse:
    """
    Lay out the SQL of a block in the dialect of a database. It is not run.

    Its ``{{ … }}`` and its comments stay. 422 contains the reason if more than the layout would change.
    """
    backend = _build_url(parts, _find(parts, reference, caller)).get_backend_name()
    try:
        return wrap(FormattedSql(sql=format_sql(wanted.sql, backend)))
    except FormattingError as error:
        raise HTTPException(422, str(error)) from None


def _create(
    wanted: NewDatabase, parts: ServiceParts, caller: Principal, *, is_tried: bool
) -> DatabaseResponse:
    kind, location = _check_url(parts, wanted.sqlalchemy_uri, is_tried=is_tried)
    with parts.database.writing() as session:
        source = DataSource(
            workspace_id=caller.workspace_id,
            name=wanted.database_name,
            kind=kind,
            location_encrypted=parts.cipher.encrypt(location),
        )
        session.add(source)
        _flush(session, source)
        return build_one(build_database_row(source, parts))


def _update(
    reference: str, wanted: DatabaseChange, parts: ServiceParts, caller: Principal, *, is_tried: bool
) -> ChangedDatabase:
    place = None
    if wanted.sqlalchemy_uri is not None:
        stored = _find(parts, reference, caller)
        place = _check_url(parts, wanted.sqlalchemy_uri, stored, is_tried=is_tried)
    with parts.database.writing() as session:
        source = find_by_reference(session, DataSource, reference, caller)
        if wanted.database_name is not None:
            source.name = wanted.database_name
        if place is not None:
            source.kind, source.location_encrypted = place[0], parts.cipher.encrypt(place[1])
        _flush(session, source)
        return wrap(build_database_row(source, parts))


def _flush(session: Session, source: DataSource) -> None:
    """Write a database; 422 if its workspace has another one of its name, by which YAML refers to it."""
    name = source.name
    try:
        session.flush()
    except IntegrityError:
        raise HTTPException(
            422, f"database_name: there is already a database called {name!r}: choose another name"
        ) from None


def _find(parts: ServiceParts, reference: str, caller: Principal) -> DataSource:
    with parts.database.reading() as session:
        return find_by_reference(session, DataSource, reference, caller)


def _check_url(
    parts: ServiceParts, text: str, stored: DataSource | None = None, *, is_tried: bool
) -> tuple[str, str]:
    """
    Check the URL of a database.

    :param stored: The database that it replaces; what is masked in the URL is taken from it.
    :param is_tried: Whether the database must answer now.
    :return: Its kind, and its location before encryption.
    :raises HTTPException: 422 if it cannot be used.
    """
    try:
        if stored is not None:
            text = restore_masked(text, _build_url(parts, stored))
        kind, location = parse_source_url(text)
    except ValueError as error:
        raise HTTPException(422, f"sqlalchemy_uri: {error}") from None
    try:
        if not is_tried:
            parts.sources.locate(kind, location)
            return kind, location
        with parts.sources.open_unsaved(kind, location) as source:
            check_connection(source)
    except SourceError as error:
        raise HTTPException(422, str(error)) from None
    return kind, location


def _build_url(parts: ServiceParts, source: DataSource) -> URL:
    return build_source_url(source.kind, parts.cipher.decrypt(source.location_encrypted))
