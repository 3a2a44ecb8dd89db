"""What each type of MariaDB becomes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pymysql
import pytest
from sqlalchemy.engine import make_url

from airflow_provider_pushmetrics.service.datasources.base import SourceError, Stopper
from airflow_provider_pushmetrics.service.datasources.drivers.mysql import MySqlSource
from tests.fakes.certificates import make_tls
from tests.fakes.datasources import fetch_first_rows, fetch_rows, fetch_table
from tests.integration.service.conftest import Api

pytestmark = pytest.mark.mariadb

COLUMNS: dict[str, tuple[str, Any, pa.DataType, Any]] = {
    "ti": ("tinyint", -1, pa.int64(), -1),
    "iu": ("int unsigned", 2**32 - 1, pa.int64(), 2**32 - 1),
    "b": ("bigint", -(2**63), pa.int64(), -(2**63)),
    "bu": ("bigint unsigned", 2**64 - 1, pa.uint64(), 2**64 - 1),
    "d": ("decimal(10, 2)", "0.10", pa.decimal128(10, 2), Decimal("0.10")),
    "du": ("decimal(5, 0) unsigned", 7, pa.decimal128(5, 0), Decimal(7)),
    "dd": ("decimal(65, 30)", "1.5", pa.decimal256(65, 30), Decimal("1.500000000000000000000000000000")),
    "f": ("float", "1234567.75", pa.float32(), 1234567.75),
    "db": ("double", "0.30000000000000004", pa.float64(), 0.30000000000000004),
    "bt": ("bit(10)", 5, pa.string(), "0000000101"),
    "dt": ("date", "2024-01-02", pa.date32(), date(2024, 1, 2)),
    "dm": (
        "datetime(6)",
        "2024-01-02 03:04:05.123456",
        pa.timestamp("us"),
        datetime(2024, 1, 2, 3, 4, 5, 123456),
    ),
    "ts": (
        "timestamp(3) null",
        "2024-01-02 03:04:05.123",
        pa.timestamp("us"),
        datetime(2024, 1, 2, 3, 4, 5, 123000),
    ),
    "tm": ("time(6)", "-838:59:58.5", pa.month_day_nano_interval(), (0, 0, -3020398500000000)),
    "y": ("year", 2024, pa.int64(), 2024),
    "e": ("enum('a', 'b')", "b", pa.string(), "b"),
    "s": ("set('x', 'y')", "x,y", pa.string(), "x,y"),
    "j": ("json", '{"a": 1.0}', pa.json_(), '{"a": 1.0}'),
    "bl": ("blob", b"\x00\xff", pa.binary(), b"\x00\xff"),
    "bi": ("binary(3)", b"a", pa.binary(), b"a\x00\x00"),
    "tx": ("text", "ü", pa.string(), "ü"),
    "u": (
        "uuid",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        pa.string(),
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    ),
    "i6": ("inet6", "::1", pa.string(), "::1"),
    "bo": ("boolean", True, pa.int64(), 1),
}
"""The columns of a table: their type, what is stored, their Arrow type, and what arrives."""


@pytest.fixture(scope="module")
def connection(mariadb_url: str) -> Iterator[Any]:
    url = make_url(mariadb_url)
    with pymysql.connect(
        host=url.host, port=url.port or 0, user=url.username, database=url.database
    ) as opened:
        yield opened


@pytest.fixture(scope="module", autouse=True)
def _table(connection: Any) -> None:
    columns = ", ".join(f"{name} {column[0]}" for name, column in COLUMNS.items())
    with connection.cursor() as cursor:
        cursor.execute("SET sql_mode = ''")
        cursor.execute(f"CREATE TABLE types ({columns})")
        stored = [column[1] for column in COLUMNS.values()]
        cursor.execute(f"INSERT INTO types VALUES ({', '.join(['%s'] * len(stored))})", stored)
        cursor.execute("INSERT INTO types (ti) VALUES (2)")
        cursor.execute("CREATE TABLE zero (d date)")
        cursor.execute("INSERT INTO zero VALUES ('2024-01-01'), ('0000-00-00')")
        connection.commit()


@pytest.mark.parametrize("name", COLUMNS)
def test_value_has_its_type_and_arrives_exactly(mariadb: MySqlSource, name: str) -> None:
    _, _, type_, value = COLUMNS[name]
    table = fetch_table(mariadb, f"SELECT {name} AS v FROM types ORDER BY ti")
    assert table.schema.field("v").type == type_
    assert value in table.column("v").to_pylist()


def test_result_without_rows_has_the_types_of_one_with_rows(mariadb: MySqlSource) -> None:
    full, empty = (fetch_table(mariadb, f"SELECT * FROM types {where}") for where in ("", "WHERE false"))
    assert full.schema == empty.schema
    assert empty.num_rows == 0


@pytest.mark.parametrize(
    ("sql", "type_"),
    [
        ("SELECT j AS v FROM types", pa.json_()),
        ("SELECT j AS v FROM types UNION ALL SELECT j FROM types", pa.json_()),
        ("SELECT v FROM (SELECT j AS v FROM types) AS q", pa.json_()),
        ("SELECT j AS v, f FROM types", pa.json_()),
        ("SELECT json_arrayagg(ti) AS v FROM types", pa.json_()),
        ("SELECT json_value(j, '$.a') AS v FROM types", pa.string()),
        ("SELECT tx AS v FROM types", pa.string()),
    ],
)
def test_json_is_json_wherever_the_server_says_so(mariadb: MySqlSource, sql: str, type_: pa.DataType) -> None:
    assert fetch_table(mariadb, sql).schema.field("v").type == type_


@pytest.mark.parametrize("end", ["ORDER BY f DESC", "ORDER BY f DESC LIMIT 3", "ORDER BY f DESC; -- end"])
def test_floats_have_all_their_digits_and_rows_their_order(
    mariadb: MySqlSource, connection: Any, end: str
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE OR REPLACE TABLE floats (f float, n int)")
        cursor.execute("INSERT INTO floats VALUES (16777217, 1), (0.1, 2), (3.4028234e38, 3)")
        connection.commit()
    found = fetch_table(mariadb, f"SELECT f, n FROM floats {end}")
    assert found.schema.field("f").type == pa.float32()
    assert found.column("n").to_pylist() == [3, 1, 2]
    assert found.column("f").to_pylist()[1:] == [16777216.0, 0.10000000149011612]


def test_date_that_is_none_is_refused_with_its_row(mariadb: MySqlSource) -> None:
    with pytest.raises(SourceError, match="column 'd', row 2: '0000-00-00' does not fit date32"):
        fetch_table(mariadb, "SELECT d FROM zero ORDER BY d DESC")


def test_timestamps_are_shown_in_the_time_zone_of_the_session(mariadb: MySqlSource) -> None:
    (row,) = fetch_rows(mariadb, "SELECT from_unixtime(0) AS t, @@time_zone AS z", time_zone="Asia/Tokyo")
    assert row == {"t": datetime(1970, 1, 1, 9), "z": "Asia/Tokyo"}
    (row,) = fetch_rows(mariadb, "SELECT from_unixtime(0) AS t")
    assert row == {"t": datetime.fromtimestamp(0, UTC).replace(tzinfo=None)}


def test_time_zone_that_the_server_does_not_know_is_refused(mariadb: MySqlSource) -> None:
    with pytest.raises(
        SourceError, match="Unknown or incorrect time zone: 'Europe/Paris': load the time zones"
    ):
        fetch_rows(mariadb, "SELECT 1 AS v", time_zone="Europe/Paris")


def test_group_concat_is_truncated_by_no_setting_of_the_server(mariadb: MySqlSource) -> None:
    (row,) = fetch_rows(mariadb, "SELECT group_concat(repeat('x', 100000)) AS v FROM seq_1_to_100")
    assert len(row["v"]) == 100 * 100_000 + 99
    (row,) = fetch_rows(mariadb, "SELECT json_arrayagg(repeat('x', 100000)) AS v FROM seq_1_to_100")
    assert len(row["v"]) == 100 * 100_003 + 1
    with pytest.raises(SourceError, match="a row has more than 33,554,432 bytes"):
        fetch_rows(mariadb, "SELECT group_concat(repeat('x', 1000000)) AS v FROM seq_1_to_50")


TOO_LARGE = "repeat('x', if(seq = {row}, 2000000000, 1)) AS v"
"""Larger than a packet of the server, which makes it NULL with a warning."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT {TOO_LARGE} FROM seq_1_to_3",
        f"SELECT {TOO_LARGE} FROM seq_1_to_100000",
        f"(SELECT {TOO_LARGE} FROM seq_1_to_100000) UNION ALL SELECT 'y'",
        f"SELECT {TOO_LARGE} FROM seq_1_to_3 ORDER BY seq LIMIT 3",
        f"SELECT {TOO_LARGE} FROM seq_1_to_10000000 LIMIT 9000000",
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 10_000, 20_000])
def test_value_that_the_server_truncates_fails_the_query_at_each_limit(
    mariadb: MySqlSource, sql: str, limit: int
) -> None:
    with pytest.raises(SourceError, match="the server truncated a value"):
        fetch_first_rows(mariadb, sql.format(row=1), limit)


def test_truncated_value_is_noticed_among_many_warnings(mariadb: MySqlSource) -> None:
    sql = f"SELECT {TOO_LARGE}, concat('a', seq) + 0 AS n FROM seq_1_to_3000"
    with pytest.raises(SourceError, match="the server truncated a value"):
        fetch_first_rows(mariadb, sql.format(row=3000), 5000)
    assert len(fetch_first_rows(mariadb, sql.format(row=0), 5000)) == 3000


def test_query_with_a_larger_limit_of_its_own_gives_the_first_rows(mariadb: MySqlSource) -> None:
    sql = "SELECT seq, concat('a', seq) + 0 AS n FROM seq_1_to_10000000 LIMIT 9000000"
    assert [row["seq"] for row in fetch_first_rows(mariadb, sql, 12_000)] == list(range(1, 12_001))


@pytest.mark.parametrize("limit", [1, 9_999, 10_000, 10_001, 20_000])
def test_server_is_asked_for_one_row_more_than_the_limit(mariadb: MySqlSource, limit: int) -> None:
    sql = f"SELECT seq, {TOO_LARGE} FROM seq_1_to_100000".format(row=limit + 2)
    assert [row["seq"] for row in fetch_first_rows(mariadb, sql, limit)] == list(range(1, limit + 1))


@pytest.mark.parametrize("value", ["it's \\ % %s \"", "\\' or 1=1 -- "])
def test_bound_value_comes_back(mariadb: MySqlSource, value: str) -> None:
    assert fetch_rows(mariadb, "SELECT ({}) AS v, '100%' AS p", value) == [{"v": value, "p": "100%"}]


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_run_with_a_truncated_value_fails_although_its_row_limit_is_reached(
    api: Api, mariadb_url: str
) -> None:
    database = await api.add_database(mariadb_url)
    sql = f"SELECT {TOO_LARGE} FROM seq_1_to_3".format(row=1)
    content = {"sql": sql, "database_id": database["id"], "limit": 1}
    report = await api.create_report({"type": "sql", "name": "q", "content": content})
    outputs = await api.run_by_api(report["id"])
    assert outputs["status"] == "failed"
    assert "the server truncated a value" in str(outputs)


def test_server_without_tls_is_refused_if_its_certificate_is_to_be_checked(
    mariadb_url: str, tmp_path: Path
) -> None:
    make_tls(tmp_path, "127.0.0.1")
    url = make_url(mariadb_url).update_query_dict({"ssl_ca": str(tmp_path / "server.pem")})
    source = MySqlSource(url, tmp_path)
    refused = "SSL is required|certificate verify failed"  # newer servers make a certificate for themselves
    with pytest.raises(SourceError, match=refused):
        fetch_rows(source, "SELECT 1 AS v")
    with pytest.raises(SourceError, match=refused), source.open_catalog(Stopper()):
        pass


@pytest.mark.parametrize("charset", ["sjis", "latin1"])
def test_value_is_sent_in_utf8_whatever_the_url_says(mariadb_url: str, charset: str, temp_dir: Path) -> None:
    # In sjis, Python writes a yen sign as a backslash, which would escape the quote after it.
    url = make_url(mariadb_url).update_query_dict({"charset": charset})
    rows = fetch_rows(MySqlSource(url, temp_dir), "select {} as a, {} as b", "\u00a5", "), user() -- 😀")
    assert rows == [{"a": "\u00a5", "b": "), user() -- 😀"}]
