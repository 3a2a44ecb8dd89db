"""What SQL may do in the databases that blocks ask: read what is meant to be read, and write nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_pushmetrics.service.bounded_processes.pool import ChildPool
from airflow_provider_pushmetrics.service.datasources.base import Source, SourceError
from airflow_provider_pushmetrics.service.datasources.drivers.mysql import MySqlSource
from airflow_provider_pushmetrics.service.datasources.drivers.postgresql import PostgresSource
from airflow_provider_pushmetrics.service.datasources.drivers.sqlite import SqliteSource
from airflow_provider_pushmetrics.service.datasources.duckdb.source import DuckDbSource
from tests.fakes.datasources import fetch_rows
from tests.integration.service.conftest import Api


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "cities.csv").write_text("id,name\n1,Berlin\n")
    (tmp_path / "secret-key").write_text("s3cret\n")
    return folder


def test_links_in_a_folder_do_not_lead_out_of_it(
    folder: Path, temp_dir: Path, duckdb_pool: ChildPool
) -> None:
    (folder / "key.csv").symlink_to(folder.parent / "secret-key")
    (folder / "secret.csv").symlink_to(folder.parent / "other.csv")
    (folder.parent / "other.csv").write_text("x\n1\n")
    (folder / "up").symlink_to(folder.parent)
    (folder / "alias.csv").symlink_to(folder / "cities.csv")
    source = DuckDbSource(folder, temp_dir, duckdb_pool)
    assert fetch_rows(source, "SELECT name FROM alias") == [{"name": "Berlin"}]
    for reading in (
        "key",
        "secret",
        f"read_text('{folder}/key.csv')",
        f"read_text('{folder}/up/secret-key')",
        f"read_text('{folder}/../secret-key')",
        f"read_text('{folder.parent}/*key*')",
        f"glob('{folder.parent}/*')",
    ):
        with pytest.raises(SourceError):
            fetch_rows(source, f"SELECT * FROM {reading}")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder", "file"])
async def test_duckdb_reads_nothing_that_other_queries_keep_in_the_data_folder(
    api: Api, kind: str, tmp_path: Path
) -> None:
    temp_dir = api.parts.settings.data_dir / "temp"
    (temp_dir / "duckdb-other").mkdir(parents=True, exist_ok=True)
    (temp_dir / "other.csv").write_text("secret\n1\n")
    (temp_dir / "duckdb-other" / "spilled.csv").write_text("secret\n1\n")
    (tmp_path / "cities.csv").write_text("id\n1\n")
    database_id = 1
    if kind == "folder":
        database_id = (await api.add_database(f"duckdb:///{tmp_path}"))["id"]
    own = "current_setting('temp_directory')"
    reading = (
        f"glob('{temp_dir}/*')",
        f"read_csv('{temp_dir}/other.csv')",
        f"read_blob('{temp_dir}/duckdb-other/spilled.csv')",
        f"glob({own} || '/../*')",
        f"read_text({own} || '/../other.csv')",
    )
    blocks = [
        {
            "type": "sql",
            "name": f"q{number}",
            "content": {"sql": f"SELECT * FROM {one}", "database_id": database_id},
        }
        for number, one in enumerate(reading)
    ]
    outputs = await api.run_by_api((await api.create_report(*blocks))["id"])
    assert [block["status"] for block in outputs["blocks"]] == ["failed"] * len(reading)
    assert all("Permission Error" in block["error"] for block in outputs["blocks"]), outputs["blocks"]


@pytest.mark.parametrize("kind", ["folder", "file"])
@pytest.mark.parametrize(
    "statement",
    [
        "COPY (SELECT 1) TO '{out}'",
        "EXPORT DATABASE '{out}'",
        "ATTACH '{out}' AS other",
        "SELECT 1; COPY (SELECT 1) TO '{out}'",
        "CREATE TABLE x AS SELECT 1 AS n",
        "SET enable_external_access = true",
        "SET memory_limit = '100GB'",
        "INSTALL httpfs",
        "CALL enable_logging(storage = 'file', storage_path = '{out}')",
        "SELECT * FROM enable_logging(storage = 'file', storage_path = '{out}')",
        "SELECT set_config('memory_limit', '100GB')",
        "EXPLAIN ANALYZE SELECT 1",
        "SELECT * FROM read_text('/etc/passwd')",
    ],
)
def test_duckdb_writes_nothing(
    kind: str, statement: str, folder: Path, duckdb_file: Path, temp_dir: Path, duckdb_pool: ChildPool
) -> None:
    source = DuckDbSource(folder if kind == "folder" else duckdb_file, temp_dir, duckdb_pool)
    for out in (folder / "out.csv", folder / "cities.csv"):
        before = out.read_bytes() if out.exists() else None
        with pytest.raises(SourceError):
            fetch_rows(source, statement.format(out=out))
        assert (out.read_bytes() if out.exists() else None) == before


@pytest.mark.parametrize(
    "sql", ["SELECT 1 AS n", "FROM t", "WITH a AS (SELECT 1 AS n) FROM a", "VALUES (1);"]
)
def test_duckdb_reads_by_whatever_is_a_select(sql: str, duckdb_source: DuckDbSource) -> None:
    assert [list(row.values()) for row in fetch_rows(duckdb_source, sql)] == [[1]]


@pytest.mark.parametrize(
    "statement",
    [
        "VACUUM INTO '{out}'",
        "ATTACH '{out}' AS other",
        "CREATE TEMP TABLE x AS SELECT 1",
        "INSERT INTO t VALUES (2) RETURNING n",
        "PRAGMA journal_mode = DELETE",
        "UPDATE sqlite_master SET type = 'x' RETURNING type",
        "PRAGMA writable_schema = 1",
        "SELECT load_extension('{out}')",
        "SELECT 1; SELECT 2",
    ],
)
def test_sqlite_writes_nothing(statement: str, sqlite: SqliteSource, tmp_path: Path) -> None:
    out = tmp_path / "out.db"
    with pytest.raises(SourceError):
        fetch_rows(sqlite, statement.format(out=out))
    assert not out.exists()
    assert fetch_rows(sqlite, "SELECT n FROM t") == [{"n": 1}]


@pytest.mark.parametrize("sql", ["SELECT file FROM pragma_database_list", "PRAGMA database_list"])
def test_no_result_shows_where_a_file_of_sqlite_is(sql: str, sqlite: SqliteSource) -> None:
    with pytest.raises(SourceError, match="not authorized"):
        fetch_rows(sqlite, sql)


def test_sqlite_functions_that_are_tables_can_be_asked(sqlite: SqliteSource) -> None:
    assert fetch_rows(sqlite, "SELECT value AS v FROM json_each('[1, 2]')") == [{"v": 1}, {"v": 2}]
    assert fetch_rows(sqlite, "SELECT name FROM pragma_table_info('t')") == [{"name": "n"}]


@pytest.mark.postgres
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT lo_create(0)",
        "SELECT set_config('transaction_read_only', 'off', false)",
        "SELECT set_config('transaction_read_only', 'off', true)",
        "CREATE TABLE x AS SELECT 1",
        "SELECT 1 INTO x",
        "WITH a AS (INSERT INTO pg_description VALUES (1, 1, 1, 'x') RETURNING 1) SELECT * FROM a",
        "DELETE FROM pg_description RETURNING 1",
        "COPY (SELECT 1) TO STDOUT",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT 1) TO PROGRAM 'true' --",
        "SELECT 1; SELECT 2",
        "COMMIT",
        "SET TIME ZONE 'UTC'",
        "LOCK TABLE pg_description",
        "DO $$ BEGIN END $$",
        "SELECT 1 FROM pg_description FOR UPDATE",
        "EXPLAIN ANALYZE DELETE FROM pg_description",
        "CREATE TEMP TABLE x AS SELECT 1",
        "PREPARE x AS SELECT 1",
        "SELECT",
        "",
    ],
)
def test_postgres_writes_nothing(sql: str, postgres: PostgresSource) -> None:
    with pytest.raises(SourceError):
        fetch_rows(postgres, sql)
    assert fetch_rows(postgres, "SELECT current_setting('transaction_read_only') AS v") == [{"v": "on"}]
    assert fetch_rows(postgres, "SELECT count(*) AS n FROM pg_class WHERE relname = 'x'") == [{"n": 0}]


@pytest.mark.mariadb
@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE x AS SELECT 1",
        "CREATE TEMPORARY TABLE x AS SELECT 1",
        "INSERT INTO mysql.proc VALUES (1) RETURNING 1",
        "DELETE FROM mysql.time_zone_name RETURNING *",
        "SELECT 1 INTO OUTFILE '{out}'",
        "SELECT 1 INTO/**/DUMPFILE '{out}'",
        "SELECT 1 /*! INTO OUTFILE '{out}' */",
        "SELECT 1 /*M! INTO OUTFILE '{out}' */",
        "(SELECT 1) INTO OUTFILE '{out}'",
        "SELECT load_file('/etc/passwd') AS v",
        "SELECT `load_file`('/etc/passwd') AS v",
        "SELECT 1 INTO @x",
        "SELECT 1; SELECT 2",
        "SET GLOBAL max_connections = 1",
        "/* */ -- x\n # y\n KILL 1",
        "CALL x()",
        "DO sleep(0)",
        "LOCK TABLES mysql.user READ",
        "HANDLER mysql.user OPEN",
        "ANALYZE SELECT 1",
        "EXECUTE IMMEDIATE 'SELECT 1'",
        "SET STATEMENT max_statement_time = 1 FOR SELECT 1",
        "LOAD DATA INFILE '/etc/passwd' INTO TABLE x",
        "SHUTDOWN",
        "COMMIT",
        "",
    ],
)
def test_mariadb_writes_nothing(sql: str, mariadb: MySqlSource, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    out = tmp_path / "out.txt"
    with pytest.raises(SourceError):
        fetch_rows(mariadb, sql.format(out=out))
    assert not out.exists()
    assert fetch_rows(mariadb, "SHOW TABLES LIKE 'x'") == []


def test_several_columns_of_one_name_are_refused(any_source: Source) -> None:
    with pytest.raises(SourceError, match="several columns are called a: give each a name with AS"):
        fetch_rows(any_source, "SELECT 1 AS a, 2 AS a")
