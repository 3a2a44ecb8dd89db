"""Results in Google Cloud Storage and Azure Blob Storage, as emulators of both answer."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.app import build_app
from airflow_provider_pushmetrics.service.datasources.base import RowBatches
from airflow_provider_pushmetrics.service.results.files.objects import ObjectFiles
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.results.stored_result import ResultError
from airflow_provider_pushmetrics.service.storage.object_store import (
    PROVIDERS,
    ObjectStore,
    ObjectStoreError,
)
from tests.fakes.cloud_storage import AZURE_KEY, BUILDERS, CloudServer, run_server
from tests.fakes.service_reports import sql
from tests.fakes.waiting import until
from tests.integration.service.conftest import Api, open_client, run_parts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),  # an npm package may have to be installed
    pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning"),  # by gcsfs
]

SCHEMA = pa.schema([("n", pa.int64())])


@pytest.fixture(scope="module", params=BUILDERS)
def server(request: pytest.FixtureRequest) -> Iterator[CloudServer]:
    with run_server(BUILDERS[request.param]()) as server:
        yield server


@pytest.fixture
def store(server: CloudServer, tmp_path: Path) -> ResultStore:
    return ResultStore.connect(tmp_path, f"{server.url}/{tmp_path.name}")


def make_rows(*numbers: int) -> RowBatches:
    return RowBatches(SCHEMA, iter([pa.record_batch([pa.array(numbers, pa.int64())], schema=SCHEMA)]))


def test_result_is_read_as_it_was_written_and_leaves_nothing_on_this_machine(
    store: ResultStore, tmp_path: Path
) -> None:
    store.prepare(wait_seconds=0)
    assert store.write("run-1/a.parquet", make_rows(1, 2, 3)) == 3
    assert store.read_rows("run-1/a.parquet") == [{"n": 1}, {"n": 2}, {"n": 3}]
    found = store.find("run-1/a.parquet")
    assert found is not None
    assert found.version, "what a reader's ETag is made of"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_large_result_is_uploaded_in_parts_and_read_by_its_row_groups(store: ResultStore) -> None:
    schema = pa.schema([("n", pa.int64()), ("text", pa.binary())])
    noise = [os.urandom(1024 * 1024) for _ in range(2)]
    batch = pa.record_batch([pa.array(range(40)), pa.array(noise * 20)], schema=schema)
    store.write("run-1/large.parquet", RowBatches(schema, (batch.slice(one, 1) for one in range(40))))
    with store.open("run-1/large.parquet") as result:
        assert [n for batch in result.read_slice(37, 2) for n in batch["n"].to_pylist()] == [37, 38]


def test_only_the_results_that_are_to_be_deleted_are(store: ResultStore) -> None:
    for name in ("run-1/a.parquet", "run-1/b.parquet", "run-10/a.parquet", "run-2/a.parquet"):
        store.write(name, make_rows(1))
    store.delete_folders(["run-1", "run-3"])
    assert [store.find(f"run-1/{name}.parquet") for name in "ab"] == [None, None]
    assert store.find("run-10/a.parquet") is not None
    now = datetime.now(UTC)
    assert store.clean(now - timedelta(days=1)) == 0
    assert store.clean(now + timedelta(days=1), spared=["run-2"]) == 1
    assert store.read_rows("run-2/a.parquet") == [{"n": 1}]


@pytest.mark.parametrize("kept_bytes", [0, 4, 200])
def test_damaged_result_is_an_error(
    store: ResultStore, server: CloudServer, tmp_path: Path, kept_bytes: int
) -> None:
    store.write("run-1/a.parquet", make_rows(*range(1000)))
    found, part = store.find("run-1/a.parquet"), tmp_path / "part"
    assert found is not None
    with found.open() as whole:
        part.write_bytes(whole.read(kept_bytes))
    ObjectStore.connect(f"{server.url}/{tmp_path.name}").upload("run-1/a.parquet", part)
    with pytest.raises(ResultError, match="damaged"):
        store.read_rows("run-1/a.parquet")


def test_start_refuses_a_bucket_that_is_not_there(server: CloudServer, tmp_path: Path) -> None:
    store = ResultStore.connect(tmp_path, f"{server.scheme}://no-such-bucket/x")
    with pytest.raises(PushMetricsConfigurationError, match="write an object") as caught:
        store.prepare(wait_seconds=600)
    assert AZURE_KEY not in str(caught.value)


async def test_reader_finds_no_difference_between_a_folder_and_object_storage(
    server: CloudServer, tmp_path: Path
) -> None:
    with run_parts(tmp_path, results_url=f"{server.url}/{tmp_path.name}") as parts:
        async with open_client(build_app(parts)) as client:
            api = Api(client, parts)
            made = api.make_report(q=sql("SELECT range AS n FROM range(100000)"))
            outputs = await api.run(made.id)
            assert outputs["status"] == "success"
            link = outputs["queries"][0]["query_result"]
            answer = await client.get(link)
            assert [row["n"] for row in answer.json()["data"]] == list(range(100_000))
            known = {"If-None-Match": answer.headers["etag"]}
            assert (await client.get(link, headers=known)).status_code == 304
            assert (await client.delete(f"/api/v1/report/{made.id}")).status_code == 200
            assert (await client.get(link)).status_code == 404
            await until(lambda: not parts.results.has_any())


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_store_that_is_away_keeps_nothing_and_says_so(
    build: Callable[[], CloudServer], tmp_path: Path
) -> None:
    with run_server(build()) as server:
        objects = ObjectStore.connect(f"{server.url}/x", monotonic=itertools.count(0, 100).__next__)
        store = ResultStore(tmp_path, ObjectFiles(objects))
        store.write("run-1/a.parquet", make_rows(1))
        server.stop()
        # One is enough: Google's library takes half a minute for each.
        with pytest.raises(ObjectStoreError, match="does not answer") as caught:
            store.write("run-1/b.parquet", make_rows(1))
        assert caught.value.is_temporary
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


class RefusingFiles:
    """A file system to which Google answers 403, as its library raises it."""

    def find(self, path: str, *, detail: bool) -> None:
        raise OSError(f"Forbidden: {path}")


def test_refusal_by_google_is_not_taken_for_an_outage() -> None:
    store = ObjectStore(RefusingFiles(), "bucket", PROVIDERS["gs"])
    with pytest.raises(ObjectStoreError, match="does not let") as caught:
        store.list()
    assert not caught.value.is_temporary
