"""Databases that SQL blocks ask. Where they are is encrypted, and shown without passwords."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import AfterValidator, AliasChoices, BaseModel, Field, StringConstraints

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.service.api.access import Admin, Caller, Editor, Parts
from airflow_provider_pushmetrics.service.api.lookup import find_by_reference, select_in_workspace
from airflow_provider_pushmetrics.service.api.shapes import build_list, build_one
from airflow_provider_pushmetrics.service.api.texts import Name, check_storable
from airflow_provider_pushmetrics.service.clock import format_moment
from airflow_provider_pushmetrics.service.datasources.base import UTC, SourceError
from airflow_provider_pushmetrics.service.datasources.limits import DEFAULT_LIMITS
from airflow_provider_pushmetrics.service.datasources.urls import (
    build_source_url,
    describe_source,
    parse_source_url,
)
from airflow_provider_pushmetrics.service.datasources.watching import watch
from airflow_provider_pushmetrics.service.listing import Listing, match_integer, match_text, parse_list_query
from airflow_provider_pushmetrics.service.models import DataSource
from airflow_provider_pushmetrics.service.parts import ServiceParts
from airflow_provider_pushmetrics.service.templates.binding import BoundSql

router = APIRouter(prefix="/api/v1/database", tags=["database"])

MAX_URL_LENGTH = 4096
TRY_SECONDS = 15.0
TRY_SQL = "SELECT 1 AS answer"

LISTING = Listing(
    order=DataSource.id,
    columns={"id": DataSource.id, "database_name": DataSource.name},
    conditions={
        ("id", "eq"): match_integer(DataSource.id, "id"),
        ("database_name", "eq"): match_text(DataSource.name),
    },
)


def check_source_url(url: str) -> str:
    """Accept where a database is."""
    parse_source_url(check_storable(url))
    return url


SourceUrl = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_URL_LENGTH), AfterValidator(check_source_url)
]


class NewDatabase(BaseModel):
    """
    A database, under the names that Superset's API gives its fields.

    :param sqlalchemy_uri: Any SQLAlchemy URL whose driver is installed; ``duckdb:///file`` is a DuckDB file
        or a folder of CSV and Parquet files, relative to the folder ``sources`` of the data folder.
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


@router.get("/")
def list_databases(parts: Parts, caller: Caller, q: str | None = None) -> dict[str, Any]:
    """List the databases of the workspace."""
    with parts.database.reading() as session:
        rows = select_in_workspace(DataSource, caller)
        count, page = LISTING.fetch(session, rows, parse_list_query(q))
        return build_list(count, [_build_row(parts, source) for source in page])


@router.post("/", status_code=201)
def create_database(wanted: NewDatabase, parts: Parts, caller: Admin) -> dict[str, Any]:
    """Add a database."""
    with parts.database.writing() as session:
        source = DataSource(workspace_id=caller.workspace_id, name=wanted.database_name)
        _set_url(parts, source, wanted.sqlalchemy_uri)
        session.add(source)
        session.flush()
        return build_one(_build_row(parts, source))


@router.get("/{reference}")
def get_database(reference: str, parts: Parts, caller: Caller) -> dict[str, Any]:
    """Show a database."""
    with parts.database.reading() as session:
        return build_one(_build_row(parts, find_by_reference(session, DataSource, reference, caller)))


@router.put("/{reference}")
def change_database(reference: str, wanted: DatabaseChange, parts: Parts, caller: Admin) -> dict[str, Any]:
    """Change the name of a database, or where it is."""
    with parts.database.writing() as session:
        source = find_by_reference(session, DataSource, reference, caller)
        if wanted.database_name is not None:
            source.name = wanted.database_name
        if wanted.sqlalchemy_uri is not None:
            _set_url(parts, source, wanted.sqlalchemy_uri)
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
        with (
            watch(TRY_SECONDS, lambda: None) as stopper,
            parts.sources.open(source_id).query(
                BoundSql((TRY_SQL,), ()), stopper, limits=DEFAULT_LIMITS, time_zone=UTC
            ) as rows,
        ):
            sum(batch.num_rows for batch in rows.batches)
    except SourceError as error:
        return {"result": {"is_reachable": False, "message": str(error)}}
    return {"result": {"is_reachable": True, "message": "The database answers"}}


def _set_url(parts: ServiceParts, source: DataSource, url: str) -> None:
    source.kind, location = parse_source_url(url)
    try:
        parts.sources.check_place(source.kind, location)
    except SourceError as error:
        raise PushMetricsParameterError(str(error)) from error
    source.location_encrypted = parts.vault.encrypt(location)


def _build_row(parts: ServiceParts, source: DataSource) -> dict[str, Any]:
    url = build_source_url(source.kind, parts.vault.decrypt(source.location_encrypted))
    return {
        "id": source.id,
        "uid": source.uid,
        "database_name": source.name,
        "backend": url.get_backend_name(),
        "sqlalchemy_uri": describe_source(url),
        "expose_in_sqllab": True,
        "created_on": format_moment(source.created_on),
    }
