"""Messages of ADBC drivers, and drivers that come with an extra."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from airflow_provider_pushmetrics.service.datasources.base import SourceError, Stopper
from airflow_provider_pushmetrics.service.datasources.drivers.adbc import clean_message
from airflow_provider_pushmetrics.service.datasources.drivers.adbc_drivers import (
    TLS_NAME,
    AdbcSource,
    build_options,
    import_driver,
)
from airflow_provider_pushmetrics.service.datasources.limits import DEFAULT_LIMITS
from airflow_provider_pushmetrics.service.datasources.urls import parse_source_url
from airflow_provider_pushmetrics.service.templates.binding import BoundSql


@pytest.mark.parametrize(
    ("said", "cleaned"),
    [
        (
            'INVALID_ARGUMENT: [libpq] Failed to prepare query: ERROR:  column "x" does not exist\n\n'
            "Query was: select x where 's3cret'. SQLSTATE: 42703",
            'column "x" does not exist',
        ),
        ("IO: [libpq] Failed to connect: password s3cret", "[libpq] Failed to connect: password ***"),
        ("ERROR:  division by zero\n. SQLSTATE: 22012", "division by zero"),
    ],
)
def test_only_what_the_database_says_is_left_of_a_message(said: str, cleaned: str) -> None:
    assert clean_message(said, ("s3cret",)) == cleaned


@pytest.mark.parametrize("kind", ["snowflake", "bigquery"])
def test_missing_driver_names_the_extra(kind: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=rf"install airflow-provider-pushmetrics\[{kind}\]"):
        import_driver(kind)
    with pytest.raises(ValueError, match=rf"install airflow-provider-pushmetrics\[{kind}\]"):
        parse_source_url(f"{kind}://user:s3cret@host/name")
    source = AdbcSource(make_url(f"{kind}://user:s3cret@host/name"), tmp_path)
    with (
        pytest.raises(SourceError, match="need the extra") as caught,
        source.query(BoundSql(("select 1",), ()), Stopper(), limits=DEFAULT_LIMITS, time_zone="UTC"),
    ):
        pass
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        (
            "snowflake://user:p%40ss@account/shop/public?warehouse=w",
            {"uri": "user:p%40ss@account/shop/public?warehouse=w"},
        ),
        (
            "bigquery://project/dataset",
            {
                "db_kwargs": {
                    "adbc.bigquery.sql.project_id": "project",
                    "adbc.bigquery.sql.dataset_id": "dataset",
                }
            },
        ),
        (
            "flightsql://user:p%40ss@host:5000?tls=true",
            {"uri": "grpc+tls://host:5000", "db_kwargs": {"username": "user", "password": "p@ss"}},
        ),
        ("flightsql://host?tls=1", {"uri": "grpc+tls://host:31337", "db_kwargs": {}}),
        ("flightsql://host?tls=TRUE", {"uri": "grpc+tls://host:31337", "db_kwargs": {}}),
        ("flightsql://host?tls=False", {"uri": "grpc://host:31337", "db_kwargs": {}}),
        (
            "flightsql://db.example.com:5000?tls=true&hostaddr=93.184.216.34",
            {"uri": "grpc+tls://93.184.216.34:5000", "db_kwargs": {TLS_NAME: "db.example.com"}},
        ),
        (
            "flightsql://db.example.com?hostaddr=2606:2800::1",
            {"uri": "grpc://[2606:2800::1]:31337", "db_kwargs": {}},
        ),
        (
            "flightsql://[2606:2800::1]?tls=1&hostaddr=2606:2800::1",
            {"uri": "grpc+tls://[2606:2800::1]:31337", "db_kwargs": {}},
        ),
        ("flightsql://host", {"uri": "grpc://host:31337", "db_kwargs": {}}),
    ],
)
def test_url_becomes_what_the_driver_connects_with(url: str, options: dict[str, object]) -> None:
    assert build_options(make_url(url)) == options
