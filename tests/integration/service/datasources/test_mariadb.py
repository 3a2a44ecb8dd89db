"""Queries of MariaDB."""

from __future__ import annotations

import pytest
from sqlalchemy.engine import make_url

from airflow_provider_pushmetrics.service.datasources.base import Stopper
from airflow_provider_pushmetrics.service.datasources.limits import QueryLimits
from airflow_provider_pushmetrics.service.datasources.sqlalchemy import SqlAlchemySource
from airflow_provider_pushmetrics.service.templates.binding import BoundSql

pytestmark = pytest.mark.mariadb


def test_value_is_bound(mariadb_url: str) -> None:
    source = SqlAlchemySource(make_url(mariadb_url))
    sql = BoundSql(("SELECT ", " AS v"), ("it's",))
    with source.query(sql, Stopper(), limits=QueryLimits(), time_zone="UTC") as rows:
        assert [row for batch in rows.batches for row in batch.to_pylist()] == [{"v": "it's"}]
