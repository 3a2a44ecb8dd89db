"""Folders of CSV and Parquet files in object storage, on a real server of S3."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_pushmetrics.service.app import build_app
from airflow_provider_pushmetrics.service.bounded_processes.pool import ChildPool
from airflow_provider_pushmetrics.service.datasources.base import SourceError
from airflow_provider_pushmetrics.service.datasources.duckdb.objects import ObjectFolder
from airflow_provider_pushmetrics.service.datasources.duckdb.source import DuckDbSource
from airflow_provider_pushmetrics.service.runtime import ServiceParts
from airflow_provider_pushmetrics.service.storage.object_store import ObjectStore
from tests.fakes.datasources import fetch_rows
from tests.fakes.object_storage import BUCKET, SECRET_KEY, S3Server, run_s3
from tests.integration.service.conftest import Api, open_client, run_parts

OPEN = f"s3://{BUCKET}/open"
SECRET = "what-nobody-may-read"


def put(server: S3Server, key: str, content: bytes) -> None:
    httpx.put(f"{server.url}/{BUCKET}/{key}", content=content, trust_env=False).raise_for_status()


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    parquet = io.BytesIO()
    pq.write_table(pa.table({"shop": ["a", "b"], "sold": [1, 2]}), parquet)
    with run_s3() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        put(server, "open/sales/shops.csv", b"shop,city\na,Rome\nb,Oslo\n")
        put(server, "open/sales/sold.parquet", parquet.getvalue())
        put(server, "open/sales/deeper/more.csv", b"n\n1\n")
        put(server, "open/twice/Old.csv", b"n\n1\n")
        put(server, "open/twice/old.parquet", parquet.getvalue())
        put(server, "open/twice/new.csv", b"n\n2\n")
        put(server, "open/sales/notes.txt", b"no table")
        for key in ("secret/keys.csv", "open-not/keys.csv", "keys.csv"):
            put(server, key, f"k\n{SECRET}\n".encode())
        ObjectStore.connect(OPEN).list()  # loads the libraries, which takes long on a busy machine
        yield server


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory, s3: S3Server) -> Iterator[ServiceParts]:
    with run_parts(tmp_path_factory.mktemp("service"), source_urls=(OPEN,)) as parts:
        yield parts


@pytest.fixture
async def api(parts: ServiceParts) -> AsyncIterator[Api]:
    async with open_client(build_app(parts)) as client:
        yield Api(client, parts)


@pytest.mark.parametrize("url", [f"{OPEN}/sales", f"duckdb:///{OPEN}/sales/"])
async def test_report_queries_the_files_of_a_folder(api: Api, url: str) -> None:
    database = await api.add_database(url)
    assert database["sqlalchemy_uri"].rstrip("/") == f"{OPEN}/sales"
    changed = {"sqlalchemy_uri": database["sqlalchemy_uri"]}
    assert (await api.client.put(f"/api/v1/database/{database['id']}", json=changed)).is_success
    assert SECRET_KEY not in str(database)
    sql = "SELECT city, sold FROM shops JOIN sold USING (shop) ORDER BY city"
    query = {"type": "sql", "name": "q", "content": {"database_id": database["id"], "sql": sql}}
    report = await api.create_report(query)
    outputs = await api.run_by_api(report["id"])
    assert await api.fetch_rows(outputs, "q") == [{"city": "Oslo", "sold": 2}, {"city": "Rome", "sold": 1}]
    assert list(api.parts.settings.data_dir.glob("temp/*")) == [], "the copies are deleted"


async def test_table_of_two_files_is_refused_with_both_names(api: Api) -> None:
    database = await api.add_database(f"{OPEN}/twice")
    queries = {"old": "SELECT * FROM old", "new": "SELECT n AS old FROM new"}
    blocks = (
        {"type": "sql", "name": name, "content": {"database_id": database["id"], "sql": sql}}
        for name, sql in queries.items()
    )
    outputs = await api.run_by_api((await api.create_report(*blocks))["id"])
    errors = {block["name"]: block["error"] for block in outputs["blocks"]}
    assert "the table 'old' is in 2 files, Old.csv and old.parquet" in errors["old"]
    assert await api.fetch_rows(outputs, "new") == [{"old": 2}]


async def test_catalog_lists_the_files_directly_in_the_folder(api: Api) -> None:
    database = await api.add_database(f"{OPEN}/sales")
    answer = await api.client.get(f"/api/v1/database/{database['id']}/schema/main/")
    assert sorted(one["name"] for one in answer.json()["result"]) == ["shops", "sold"]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"s3://{BUCKET}/secret", "outside of the folders"),
        (f"s3://{BUCKET}", "outside of the folders"),
        (f"s3://{BUCKET}/open-not", "outside of the folders"),
        ("s3://other/open", "outside of the folders"),
        (f"gs://{BUCKET}/open", "outside of the folders"),
        (f"{OPEN}/../secret", "usual characters"),
        (f"{OPEN}/%2e%2e/secret", "usual characters"),
        (f"{OPEN}/..%2fsecret", "usual characters"),
        (f"{OPEN}//../secret", "usual characters"),
        (f"{OPEN}\\..\\secret", "usual characters"),
        (f"{OPEN}/*", "usual characters"),
        (f"{OPEN}/sales?endpoint_url=http://127.0.0.1", "usual characters"),
        ("s3://127.0.0.1:80/open", "usual characters"),
        (f"s3://me:{SECRET}@{BUCKET}/open/sales", "no credentials"),
        (f"duckdb:///s3://me:{SECRET}@{BUCKET}/open/sales", "no credentials"),
        (f"{OPEN}/empty", "no CSV or Parquet files"),
        (f"{OPEN}/sales/shops.csv", "no CSV or Parquet files"),
        ("http://127.0.0.1/open", "not a supported database"),
        ("duckdb:///http://127.0.0.1/open", "does not exist"),
        (f"sqlite:///{OPEN}/sales", ""),
    ],
)
async def test_folder_that_no_operator_allowed_is_refused(api: Api, url: str, reason: str) -> None:
    body = {"database_name": "refused", "sqlalchemy_uri": url}
    answer = await api.client.post("/api/v1/database/", json=body)
    assert answer.status_code == 422, answer.text
    assert reason in answer.json()["message"]
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    "table",
    [
        f"read_csv('s3://{BUCKET}/secret/keys.csv')",
        f"read_csv('{OPEN}/../secret/keys.csv')",
        "read_text('/proc/self/environ')",
        "read_text('/etc/passwd')",
        "read_text('../../secret-key')",
        "read_csv('{server}/{bucket}/secret/keys.csv')",
        "read_csv('*.csv')",
        "glob('*')",
    ],
)
def test_sql_of_a_folder_reads_nothing_else(
    s3: S3Server, temp_dir: Path, duckdb_pool: ChildPool, table: str
) -> None:
    folder = ObjectFolder(partial(ObjectStore.connect, OPEN), "sales")
    source = DuckDbSource(folder, temp_dir, duckdb_pool)
    with pytest.raises(SourceError) as found:
        fetch_rows(source, f"SELECT * FROM {table.format(server=s3.url, bucket=BUCKET)}")
    assert SECRET not in str(found.value)
    assert SECRET_KEY not in str(found.value)
    assert str(temp_dir) not in str(found.value)


def test_process_that_runs_the_sql_has_no_credentials(
    s3: S3Server, temp_dir: Path, duckdb_pool: ChildPool
) -> None:
    folder = ObjectFolder(partial(ObjectStore.connect, OPEN), "sales")
    assert fetch_rows(DuckDbSource(folder, temp_dir, duckdb_pool), "SELECT count(*) AS n FROM shops") == [
        {"n": 2}
    ]
    with duckdb_pool.lease() as child:
        assert SECRET_KEY.encode() not in Path(f"/proc/{child.pid}/environ").read_bytes()


def test_store_that_refuses_is_named_without_its_keys(
    temp_dir: Path, duckdb_pool: ChildPool, caplog: pytest.LogCaptureFixture
) -> None:
    with run_s3(checks_keys=True) as strict, pytest.MonkeyPatch.context() as patch:
        for name, value in strict.environment.items():
            patch.setenv(name, value)
        folder = ObjectFolder(partial(ObjectStore.connect, OPEN), "sales")
        with pytest.raises(SourceError, match="does not let the service list an object") as found:
            fetch_rows(DuckDbSource(folder, temp_dir, duckdb_pool), "SELECT * FROM shops")
    assert SECRET_KEY not in f"{found.value} {caplog.text}"
