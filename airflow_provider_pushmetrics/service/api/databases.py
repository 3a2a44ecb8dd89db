"""Databases that SQL blocks ask. Where they are is encrypted, and shown without passwords."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, HTTPException, Query
from pydantic import AfterValidator, AliasChoices, BaseModel, Field, StringConstraints
from sqlalchemy.engine import URL

from airflow_provider_pushmetrics.service.api.access import Admin, Caller, Editor, Parts
from airflow_provider_pushmetrics.service.api.lookup import find_by_reference, select_in_workspace
from airflow_provider_pushmetrics.service.api.shapes import build_list, build_one
from airflow_provider_pushmetrics.service.api.texts import Name, ShortText, check_storable
from airflow_provider_pushmetrics.service.clock import format_moment
from airflow_provider_pushmetrics.service.credentials import Principal
from airflow_provider_pushmetrics.service.datasources.base import SourceError
from airflow_provider_pushmetrics.service.datasources.trial import try_source
from airflow_provider_pushmetrics.service.datasources.urls import (
    build_source_url,
    describe_source,
    parse_source_url,
    restore_password,
)
from airflow_provider_pushmetrics.service.listing import Listing, match_integer, match_text, parse_list_query
from airflow_provider_pushmetrics.service.models import DataSource
from airflow_provider_pushmetrics.service.parts import ServiceParts

router = APIRouter(prefix="/api/v1/database", tags=["database"])

MAX_URL_LENGTH = 4096
ANSWERS = "The database answers"

LISTING = Listing(
    order=DataSource.id,
    columns={"id": DataSource.id, "database_name": DataSource.name},
    conditions={
        ("id", "eq"): match_integer(DataSource.id, "id"),
        ("database_name", "eq"): match_text(DataSource.name),
    },
)


SourceUrl: TypeAlias = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_URL_LENGTH), AfterValidator(check_storable)
]
SkipTest: TypeAlias = Annotated[
    bool, Query(description="Save it without trying whether the database answers")
]


class NewDatabase(BaseModel):
    """
    A database, under the names that Superset's API gives its fields.

    :param sqlalchemy_uri: A URL of PostgreSQL, MySQL, MariaDB, SQL Server, Oracle or SQLite;
        ``duckdb:///file`` is a DuckDB file or a folder of CSV and Parquet files, relative to the folder
        ``sources`` of the data folder.
    """

    database_name: Name = Field(examples=["shop"], validation_alias=AliasChoices("database_name", "name"))
    sqlalchemy_uri: SourceUrl = Field(
        examples=["postgresql://reader:secret@db/shop"],
        validation_alias=AliasChoices("sqlalchemy_uri", "url"),
    )


class DatabaseChange(BaseModel):
    """What to change of a database; what is left out stays."""

    database_name: Name | None = Field(
        None, examples=["shop"], validation_alias=AliasChoices("database_name", "name")
    )
    sqlalchemy_uri: SourceUrl | None = Field(
        None, examples=["duckdb:///sales.duckdb"], validation_alias=AliasChoices("sqlalchemy_uri", "url")
    )


class DatabaseTrial(BaseModel):
    """
    A database to try before it is saved.

    :param database: The id or the uid of the one that it is to replace, whose password stands for ``***``.
    """

    sqlalchemy_uri: SourceUrl = Field(
        examples=["duckdb:///sales.duckdb"], validation_alias=AliasChoices("sqlalchemy_uri", "url")
    )
    database: int | ShortText | None = None


@router.get("/")
def list_databases(parts: Parts, caller: Caller, q: str | None = None) -> dict[str, Any]:
    """List the databases of the workspace."""
    with parts.database.reading() as session:
        rows = select_in_workspace(DataSource, caller)
        count, page = LISTING.fetch(session, rows, parse_list_query(q))
        return build_list(count, [_build_row(parts, source) for source in page])


@router.post("/", status_code=201)
def create_database(
    wanted: NewDatabase, parts: Parts, caller: Admin, *, skip_test: SkipTest = False
) -> dict[str, Any]:
    """Add a database; 422 if it cannot be used, or does not answer."""
    kind, location = _check_url(parts, wanted.sqlalchemy_uri, is_tried=not skip_test)
    with parts.database.writing() as session:
        source = DataSource(
            workspace_id=caller.workspace_id,
            name=wanted.database_name,
            kind=kind,
            location_encrypted=parts.vault.encrypt(location),
        )
        session.add(source)
        session.flush()
        return build_one(_build_row(parts, source))


@router.post("/test_connection")
def try_unsaved_database(wanted: DatabaseTrial, parts: Parts, caller: Admin) -> dict[str, str]:
    """Try a database that is not saved; 422 says why it cannot be used, or what it answers."""
    stored = None if wanted.database is None else _find(parts, str(wanted.database), caller)
    _check_url(parts, wanted.sqlalchemy_uri, stored, is_tried=True)
    return {"message": ANSWERS}


@router.get("/{reference}")
def get_database(reference: str, parts: Parts, caller: Caller) -> dict[str, Any]:
    """Show a database."""
    with parts.database.reading() as session:
        return build_one(_build_row(parts, find_by_reference(session, DataSource, reference, caller)))


@router.put("/{reference}")
def change_database(
    reference: str, wanted: DatabaseChange, parts: Parts, caller: Admin, *, skip_test: SkipTest = False
) -> dict[str, Any]:
    """Change the name of a database, or where it is; 422 if it cannot be used, or does not answer."""
    place = None
    if wanted.sqlalchemy_uri is not None:
        stored = _find(parts, reference, caller)
        place = _check_url(parts, wanted.sqlalchemy_uri, stored, is_tried=not skip_test)
    with parts.database.writing() as session:
        source = find_by_reference(session, DataSource, reference, caller)
        if wanted.database_name is not None:
            source.name = wanted.database_name
        if place is not None:
            source.kind, source.location_encrypted = place[0], parts.vault.encrypt(place[1])
        session.flush()
        return {"result": _build_row(parts, source)}


@router.delete("/{reference}")
def delete_database(reference: str, parts: Parts, caller: Admin) -> dict[str, str]:
    """Forget a database; queries that ask it fail from then on."""
    with parts.database.writing() as session:
        session.delete(find_by_reference(session, DataSource, reference, caller))
    return {"message": "OK"}


@router.post("/{reference}/test")
def try_database(reference: str, parts: Parts, caller: Editor) -> dict[str, Any]:
    """Ask a database for one row; the answer says whether it came, or why not in the database's words."""
    with parts.database.reading() as session:
        source_id = find_by_reference(session, DataSource, reference, caller).id
    try:
        try_source(parts.sources.open(source_id))
    except SourceError as error:
        return {"result": {"is_reachable": False, "message": str(error)}}
    return {"result": {"is_reachable": True, "message": ANSWERS}}


def _find(parts: ServiceParts, reference: str, caller: Principal) -> DataSource:
    with parts.database.reading() as session:
        return find_by_reference(session, DataSource, reference, caller)


def _check_url(
    parts: ServiceParts, text: str, stored: DataSource | None = None, *, is_tried: bool
) -> tuple[str, str]:
    """
    Accept where a database is, and try it.

    :param stored: What it replaces, whose password stands for a masked one.
    :param is_tried: Whether it must answer now.
    :return: Its kind, and its location as it is to be stored, encrypted.
    """
    try:
        if stored is not None:
            text = restore_password(text, _build_url(parts, stored))
        kind, location = parse_source_url(text)
    except ValueError as error:
        raise HTTPException(422, f"sqlalchemy_uri: {error}") from None
    try:
        if not is_tried:
            parts.sources.locate(kind, location)
            return kind, location
        with parts.sources.open_unsaved(kind, location) as source:
            try_source(source)
    except SourceError as error:
        raise HTTPException(422, str(error)) from None
    return kind, location


def _build_url(parts: ServiceParts, source: DataSource) -> URL:
    return build_source_url(source.kind, parts.vault.decrypt(source.location_encrypted))


def _build_row(parts: ServiceParts, source: DataSource) -> dict[str, Any]:
    url = _build_url(parts, source)
    return {
        "id": source.id,
        "uid": source.uid,
        "database_name": source.name,
        "backend": url.get_backend_name(),
        "sqlalchemy_uri": describe_source(url),
        "expose_in_sqllab": True,
        "created_on": format_moment(source.created_on),
    }
