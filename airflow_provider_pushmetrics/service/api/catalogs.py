"""What is in the databases that queries ask: schemas, tables, columns and functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, HTTPException, Query

from airflow_provider_pushmetrics.service.accounts.authentication import Principal
from airflow_provider_pushmetrics.service.api.conventions.access import Caller, Parts
from airflow_provider_pushmetrics.service.api.conventions.lookup import NOT_FOUND, find_by_reference
from airflow_provider_pushmetrics.service.datasources.base import SourceError
from airflow_provider_pushmetrics.service.datasources.catalog import (
    Catalog,
    TableDescription,
    TableName,
    find_table,
    search_tables,
    write_select_star,
)
from airflow_provider_pushmetrics.service.datasources.watching import watch
from airflow_provider_pushmetrics.service.models import DataSource
from airflow_provider_pushmetrics.service.runtime import ServiceParts

router = APIRouter(prefix="/api/v1/database/{reference}", tags=["database"])

LOOK_SECONDS = 30.0
MAX_TABLES = 1000
DEFAULT_STAR_ROWS = 100
MAX_STAR_ROWS = 10_000
MAX_FUNCTIONS = 500

Found = TypeVar("Found")


@router.get("/schemas/")
def list_schemas(reference: str, parts: Parts, caller: Caller) -> dict[str, Any]:
    """List the schemas of a database. They are read anew each time."""
    return {"result": _look(parts, reference, caller, lambda catalog, _: catalog.list_schemas())}


@router.get("/schema/{schema}/")
def list_tables(reference: str, schema: str, parts: Parts, caller: Caller) -> dict[str, Any]:
    """List the tables and views of a schema."""

    def look(catalog: Catalog, source_id: int) -> list[dict[str, Any]]:
        return [
            {"name": one.name, "type": one.type, "schemaName": one.schema, "databaseId": source_id}
            for one in catalog.list_tables(schema)
        ]

    return {"result": _look(parts, reference, caller, look)}


@router.get("/table/{table}/{schema}/")
def get_table(reference: str, table: str, schema: str, parts: Parts, caller: Caller) -> dict[str, Any]:
    """Describe a table: its columns, keys and indexes. It stands in no ``result``."""

    def look(catalog: Catalog, _: int) -> dict[str, Any]:
        name = _find(catalog, schema, table)
        star = write_select_star(name, DEFAULT_STAR_ROWS, catalog.dialect)
        return _build_table(name, catalog.describe(name), star)

    return _look(parts, reference, caller, look)


@router.get("/select_star_sql/{table}/{schema}/")
def get_select_star(
    reference: str,
    table: str,
    schema: str,
    parts: Parts,
    caller: Caller,
    limit: Annotated[int, Query(ge=1, le=MAX_STAR_ROWS)] = DEFAULT_STAR_ROWS,
) -> dict[str, str]:
    """Write the SQL that reads the first rows of a table; it is not run."""

    def look(catalog: Catalog, _: int) -> str:
        return write_select_star(_find(catalog, schema, table), limit, catalog.dialect)

    return {"result": _look(parts, reference, caller, look)}


@router.get("/table_exists/{table}/{schema}/")
def tell_whether_table_exists(
    reference: str, table: str, schema: str, parts: Parts, caller: Caller
) -> dict[str, Any]:
    """Tell whether there is a table or a view, and how its name is written."""
    name = _look(parts, reference, caller, lambda catalog, _: find_table(catalog, schema, table))
    if name is None:
        return {"result": {"exists": False, "type": None, "resolved_name": None}}
    return {"result": {"exists": True, "type": name.type, "resolved_name": name.name}}


@router.get("/search_tables/")
def find_tables(
    reference: str, parts: Parts, caller: Caller, pattern: str, schema: str | None = None
) -> dict[str, Any]:
    """Find the tables whose names contain a text."""
    found = _look(
        parts, reference, caller, lambda catalog, _: search_tables(catalog, pattern, schema)[:MAX_TABLES]
    )
    rows = [{"schema": one.schema, "name": one.name, "type": one.type} for one in found]
    return {"result": {"pattern": pattern, "count": len(rows), "results": rows}}


@router.get("/function_names/")
def list_functions(
    reference: str,
    parts: Parts,
    caller: Caller,
    limit: Annotated[int, Query(ge=1, le=MAX_FUNCTIONS)] = 100,
    filter: str = "",
) -> dict[str, Any]:
    """List the functions that the SQL of a database can call, those whose names contain a text."""
    known, backend = _look(
        parts, reference, caller, lambda catalog, _: (catalog.list_functions(), catalog.backend)
    )
    names = [name for name in known or [] if filter.lower() in name.lower()]
    answer = {
        "functions": names[:limit],
        "count": len(names[:limit]),
        "total": len(names),
        "backend": backend,
    }
    if filter:
        answer["filter"] = filter
    if known is None:
        answer["note"] = f"Databases of the kind {backend!r} are not asked for their functions"
    return {"result": answer}


def _look(
    parts: ServiceParts, reference: str, caller: Principal, look: Callable[[Catalog, int], Found]
) -> Found:
    """Look into a database of the workspace; 422 with its own words if that fails."""
    with parts.database.reading() as session:
        source_id = find_by_reference(session, DataSource, reference, caller).id
    try:
        source = parts.sources.open(source_id)
        with (
            watch(LOOK_SECONDS, lambda: None) as stopper,
            source.open_catalog(stopper) as catalog,
        ):
            return look(catalog, source_id)
    except SourceError as error:
        raise HTTPException(422, str(error)) from None


def _find(catalog: Catalog, schema: str, table: str) -> TableName:
    name = find_table(catalog, schema, table)
    if name is None:
        raise HTTPException(404, NOT_FOUND)
    return name


def _build_table(name: TableName, described: TableDescription, star: str) -> dict[str, Any]:
    key = list(described.primary_key)
    return {
        "name": name.name,
        "columns": [
            {
                "name": column.name,
                "type": column.type.partition("(")[0],
                "longType": column.type,
                "keys": [{"type": "pk", "column_names": key}] if column.name in key else [],
                "comment": column.comment,
            }
            for column in described.columns
        ],
        "primaryKey": {"type": "pk", "column_names": key} if key else {},
        "foreignKeys": [
            {
                "column_names": list(one.columns),
                "referred_table": one.table,
                "referred_schema": one.table_schema,
                "referred_columns": list(one.table_columns),
            }
            for one in described.foreign_keys
        ],
        "indexes": [
            {"name": one.name, "column_names": list(one.columns), "unique": one.is_unique}
            for one in described.indexes
        ],
        "comment": described.comment,
        "selectStar": star,
    }
