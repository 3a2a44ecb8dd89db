"""Which databases are refused because they are the service's own."""

from __future__ import annotations

import pytest
from sqlalchemy.engine import make_url

from airflow_provider_pushmetrics.service.datasources.base import SourceError
from airflow_provider_pushmetrics.service.datasources.sqlalchemy import refuse_own

OWN = make_url("postgresql+psycopg://pm:s3cret@db/pushmetrics")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://reader:other@db/pushmetrics",
        "postgresql+psycopg://reader:other@db:5432/pushmetrics?sslmode=require",
        "postgresql+psycopg:///pushmetrics?host=db&port=5432",
    ],
)
def test_own_postgresql_is_refused_however_it_is_spelt(url: str) -> None:
    with pytest.raises(SourceError, match="the service's own") as caught:
        refuse_own(make_url(url), OWN)
    assert "other" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://reader@db/shop",
        "postgresql+psycopg://reader@db:5433/pushmetrics",
        "postgresql+psycopg://reader@warehouse/pushmetrics",
        "sqlite:///pushmetrics",
    ],
)
def test_other_databases_are_asked(url: str) -> None:
    refuse_own(make_url(url), OWN)
    refuse_own(make_url(url), make_url("sqlite:////data/service.db"))
