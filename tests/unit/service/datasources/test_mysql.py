"""What MariaDB and MySQL are asked."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pytest
from pymysql.constants import FIELD_TYPE

from airflow_provider_pushmetrics.service.datasources.base import SourceError
from airflow_provider_pushmetrics.service.datasources.columns.mysql import parse_durations
from airflow_provider_pushmetrics.service.datasources.drivers.mysql import refuse_writing, widen_floats
from airflow_provider_pushmetrics.service.templates.binding import BoundSql


@dataclass
class FloatField:
    name: str = "f`x"
    type_code: int = FIELD_TYPE.FLOAT
    charsetnr: int = 63
    flags: int = 0
    length: int = 12
    scale: int = 31


@pytest.mark.parametrize(
    ("sql", "inner"),
    [
        ("select f from t", "select f from t"),
        ("select f from t order by f;", "select f from t order by f LIMIT 18446744073709551615"),
        ("select f from t order by f limit 3", "select f from t order by f limit 3"),
    ],
)
def test_floats_are_read_as_doubles_in_the_order_of_the_query(sql: str, inner: str) -> None:
    written = widen_floats(BoundSql((sql,), ()), [FloatField()]).parts[0]
    assert written.replace("\n", "") == f"SELECT (`f``x` + 0e0) AS `f``x` FROM ({inner}) AS q"


@pytest.mark.parametrize("sql", ["select f from from", "(select f from t order by f)"])
def test_query_whose_order_cannot_be_told_says_what_to_do(sql: str) -> None:
    with pytest.raises(SourceError, match="cast them to double"):
        widen_floats(BoundSql((sql,), ()), [FloatField()])


@pytest.mark.parametrize("sql", ["select 1 into outfile 'x'", "SELECT LOAD_FILE('x')", "set @x = 1", ""])
def test_what_writes_is_refused_before_it_is_sent(sql: str) -> None:
    with pytest.raises(SourceError):
        refuse_writing(BoundSql((sql,), ()))


def test_durations_keep_their_sign_and_microseconds() -> None:
    found = parse_durations(pa.array(["-838:59:59.5", "00:00:00", None]))
    assert [value and value.nanoseconds for value in found.to_pylist()] == [-3020399500000000, 0, None]
