"""Databases: the requests that add, change and test them, and the answers that show them."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, AliasChoices, Field, StringConstraints
from typing_extensions import TypeAliasType, TypedDict

from airflow_provider_pushmetrics.service.api.conventions.fields import (
    Id,
    Moment,
    Name,
    ShortText,
    Uid,
    check_storable,
)
from airflow_provider_pushmetrics.service.api.conventions.shapes import (
    One,
    Page,
    RequestBody,
    Wrapped,
    answer,
)
from airflow_provider_pushmetrics.service.datasources.formatting import MAX_FORMATTED_LENGTH

MAX_DATABASE_URL_LENGTH = 4096

SourceUrl: TypeAlias = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_DATABASE_URL_LENGTH), AfterValidator(check_storable)
]


class NewDatabase(RequestBody):
    """A new database; its fields have the names of Superset."""

    database_name: Name = Field(examples=["flights"], validation_alias=AliasChoices("database_name", "name"))
    sqlalchemy_uri: SourceUrl = Field(
        examples=["duckdb:///flights.duckdb"],
        validation_alias=AliasChoices("sqlalchemy_uri", "url"),
    )
    """
    A URL of PostgreSQL, MySQL, MariaDB, SQL Server, Oracle, Snowflake, BigQuery, Flight SQL or SQLite.
    ``duckdb:///file`` is a DuckDB file or a folder of CSV and Parquet files, in the folder ``sources`` of the
    data folder.
    """


class DatabaseChange(RequestBody):
    """The changes of a database. A field that is not given stays."""

    database_name: Name | None = Field(
        None, examples=["shop"], validation_alias=AliasChoices("database_name", "name")
    )
    sqlalchemy_uri: SourceUrl | None = Field(
        None, examples=["duckdb:///flights.duckdb"], validation_alias=AliasChoices("sqlalchemy_uri", "url")
    )
    """
    The new URL, with all its options: those that it does not have are removed. While user and server stay the
    same, ``***`` keeps the stored password, file or socket.
    """


class DatabaseTrial(RequestBody):
    """A database to test before it is saved."""

    sqlalchemy_uri: SourceUrl = Field(
        examples=["duckdb:///flights.duckdb"], validation_alias=AliasChoices("sqlalchemy_uri", "url")
    )
    database: int | ShortText | None = None
    """The id or uid of the database to replace, for the password, files or socket if the URL has ``***``."""


class UnformattedSql(RequestBody):
    """SQL to lay out."""

    sql: Annotated[str, StringConstraints(max_length=MAX_FORMATTED_LENGTH)] = Field(
        examples=["select day, count(*) as n from flights where carrier = {{ carrier }} group by day"]
    )


@answer
class DatabaseRow(TypedDict):
    """A database that SQL blocks query."""

    id: Id
    uid: Uid
    database_name: Annotated[str, Field(examples=["shop"])]
    backend: Annotated[str, Field(examples=["postgresql"])]
    """The kind of the database, by SQLAlchemy's name."""
    sqlalchemy_uri: Annotated[str, Field(examples=["postgresql://reader:***@db/shop"])]
    """The URL; ``***`` stands for its password, and for the files and the socket in its options."""
    expose_in_sqllab: Annotated[bool, Field(examples=[True])]
    """Always true: SQL blocks can query every database."""
    created_on: Moment


DatabaseList = TypeAliasType("DatabaseList", Page[DatabaseRow])
DatabaseResponse = TypeAliasType("DatabaseResponse", One[DatabaseRow])
ChangedDatabase = TypeAliasType("ChangedDatabase", Wrapped[DatabaseRow])


@answer
class ConnectionTest(TypedDict):
    """The result of a test of a saved database."""

    is_reachable: Annotated[bool, Field(examples=[True])]
    message: Annotated[str, Field(examples=["The database answers"])]
    """The reason, in the words of the database, when it is not reachable."""


ConnectionTestResponse = TypeAliasType("ConnectionTestResponse", Wrapped[ConnectionTest])


@answer
class FormattedSql(TypedDict):
    """SQL that was laid out."""

    sql: Annotated[str, Field(examples=["SELECT\n  day\nFROM flights"])]


FormattedSqlResponse = TypeAliasType("FormattedSqlResponse", Wrapped[FormattedSql])
