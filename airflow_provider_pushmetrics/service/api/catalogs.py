"""The catalog of a database: schemas, tables, columns and functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, TypeAlias, TypeVar

from fastapi import HTTPException, Path, Query

from airflow_provider_pushmetrics.service.accounts.authentication import Principal
from airflow_provider_pushmetrics.service.api.conventions.access import Caller, Parts
from airflow_provider_pushmetrics.service.api.conventions.fields import Reference
from airflow_provider_pushmetrics.service.api.conventions.lookup import NOT_FOUND, find_by_reference
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.conventions.shapes import wrap
from airflow_provider_pushmetrics.service.api.conventions.threads import DATABASE_THREADS
from airflow_provider_pushmetrics.service.api.schemas.catalogs import (
    FoundTable,
    FoundTables,
    FoundTablesResponse,
    FunctionNames,
    FunctionNamesResponse,
    SchemaNames,
    SelectStar,
    TableDetails,
    TableExistence,
    TableExistenceResponse,
    TableList,
    TableSummary,
)
from airflow_provider_pushmetrics.service.datasources import catalog as catalogs
from airflow_provider_pushmetrics.service.datasources.base import SourceError
from airflow_provider_pushmetrics.service.datasources.catalog import (
    Catalog,
    TableDescription,
    TableName,
    write_select_star,
)
from airflow_provider_pushmetrics.service.datasources.watchdog import watch
from airflow_provider_pushmetrics.service.models import DataSource
from airflow_provider_pushmetrics.service.runtime import ServiceParts

router = make_router("/api/v1/database/{reference}", "database")

SchemaName: TypeAlias = Annotated[str, Path(description="The name of the schema", examples=["main"])]
TableReference: TypeAlias = Annotated[str, Path(description="The name of the table", examples=["orders"])]

LOOK_SECONDS = 30.0
MAX_TABLES = 1000
DEFAULT_STAR_ROWS = 100
MAX_STAR_ROWS = 10_000
MAX_FUNCTIONS = 500

Found = TypeVar("Found")


@router.get("/schemas/")
async def list_schemas(reference: Reference, parts: Parts, caller: Caller) -> SchemaNames:
    """List the schemas of a database, as they are now."""
    return wrap(await _read_catalog(parts, reference, caller, lambda catalog, _: catalog.list_schemas()))


@router.get("/schema/{schema}/")
async def list_tables(reference: Reference, schema: SchemaName, parts: Parts, caller: Caller) -> TableList:
    """List the tables and views of a schema."""

    def read(catalog: Catalog, source_id: int) -> list[TableSummary]:
        return [
            {"name": one.name, "type": one.type, "schemaName": one.schema, "databaseId": source_id}
            for one in catalog.list_tables(schema)
        ]

    return wrap(await _read_catalog(parts, reference, caller, read))


@router.get("/table/{table}/{schema}/")
async def get_table(
    reference: Reference, table: TableReference, schema: SchemaName, parts: Parts, caller: Caller
) -> TableDetails:
    """Show the columns, keys and indexes of a table."""

    def read(catalog: Catalog, _: int) -> TableDetails:
        name = _find(catalog, schema, table)
        star = write_select_star(name, DEFAULT_STAR_ROWS, catalog.dialect)
        return _build_table(name, catalog.describe(name), star)

    return await _read_catalog(parts, reference, caller, read)


@router.get("/select_star_sql/{table}/{schema}/")
async def get_select_star(
    reference: Reference,
    table: TableReference,
    schema: SchemaName,
    parts: Parts,
    caller: Caller,
    limit: Annotated[int, Query(ge=1, le=MAX_STAR_ROWS)] = DEFAULT_STAR_ROWS,
) -> SelectStar:
    """Write the SQL that reads the first rows of a table. It is not run."""

    def read(catalog: Catalog, _: int) -> str:
        return write_select_star(_find(catalog, schema, table), limit, catalog.dialect)

    return wrap(await _read_catalog(parts, reference, caller, read))


@router.get("/table_exists/{table}/{schema}/")
async def find_table(
    reference: Reference, table: TableReference, schema: SchemaName, parts: Parts, caller: Caller
) -> TableExistenceResponse:
    """Find out whether a table or a view exists, and its exact name."""
    name = await _read_catalog(
        parts, reference, caller, lambda catalog, _: catalogs.find_table(catalog, schema, table)
    )
    if name is None:
        return wrap(TableExistence(exists=False, type=None, resolved_name=None))
    return wrap(TableExistence(exists=True, type=name.type, resolved_name=name.name))


@router.get("/search_tables/")
async def search_tables(
    reference: Reference,
    parts: Parts,
    caller: Caller,
    pattern: Annotated[str, Query(description="The text, in any case")],
    schema: Annotated[str | None, Query(description="The schema; all of them, unless given")] = None,
) -> FoundTablesResponse:
    """Find the tables and views whose names contain a text."""

    def read(catalog: Catalog, _: int) -> Sequence[TableName]:
        return catalogs.search_tables(catalog, pattern, schema)[:MAX_TABLES]

    rows: list[FoundTable] = [
        {"schema": one.schema, "name": one.name, "type": one.type}
        for one in await _read_catalog(parts, reference, caller, read)
    ]
    return wrap(FoundTables(pattern=pattern, count=len(rows), results=rows))


@router.get("/function_names/")
async def list_functions(
    reference: Reference,
    parts: Parts,
    caller: Caller,
    limit: Annotated[int, Query(ge=1, le=MAX_FUNCTIONS)] = 100,
    filter: Annotated[str, Query(description="A text that the names contain, in any case")] = "",
) -> FunctionNamesResponse:
    """List the functions that the SQL of a database can call."""
    known, backend = await _read_catalog(
        parts, reference, caller, lambda catalog, _: (catalog.list_functions(), catalog.backend)
    )
    names = [name for name in known or [] if filter.lower() in name.lower()]
    answer: FunctionNames = {
        "functions": names[:limit],
        "count": len(names[:limit]),
        "total": len(names),
        "backend": backend,
    }
    if filter:
        answer["filter"] = filter
    if known is None:
        answer["note"] = f"Databases of the kind {backend!r} are not asked for their functions"
    return wrap(answer)


async def _read_catalog(
    parts: ServiceParts, reference: str, caller: Principal, read: Callable[[Catalog, int], Found]
) -> Found:
    """Look into a database of the workspace; 422 with its own words if that fails."""
    return await DATABASE_THREADS.run(partial(_read_catalog_now, parts, reference, caller, read))


def _read_catalog_now(
    parts: ServiceParts, reference: str, caller: Principal, read: Callable[[Catalog, int], Found]
) -> Found:
    with parts.database.reading() as session:
        source_id = find_by_reference(session, DataSource, reference, caller).id
    try:
        source = parts.sources.open(source_id)
        with (
            watch(LOOK_SECONDS, lambda: None) as stopper,
            source.open_catalog(stopper) as catalog,
        ):
            return read(catalog, source_id)
    except SourceError as error:
        raise HTTPException(422, str(error)) from None


def _find(catalog: Catalog, schema: str, table: str) -> TableName:
    name = catalogs.find_table(catalog, schema, table)
    if name is None:
        raise HTTPException(404, NOT_FOUND)
    return name


def _build_table(name: TableName, described: TableDescription, star: str) -> TableDetails:
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
