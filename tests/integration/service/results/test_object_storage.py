"""Results in object storage: whole or not there, read in ranges, and a store that is away or refuses."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.app import build_app
from airflow_provider_pushmetrics.service.cli import app
from airflow_provider_pushmetrics.service.datasources.base import RowBatches
from airflow_provider_pushmetrics.service.results.encoders.formats import EXTENSIONS, PARQUET
from airflow_provider_pushmetrics.service.results.files.objects import ObjectFiles
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.results.stored_result import ResultError, ResultGoneError
from airflow_provider_pushmetrics.service.runtime import ServiceParts
from airflow_provider_pushmetrics.service.storage.object_store import ObjectStore, ObjectStoreError
from tests.fakes.object_storage import BUCKET, SECRET_KEY, S3Server, run_s3
from tests.fakes.relay import Relay
from tests.fakes.service_process import run_service
from tests.fakes.service_reports import sql
from tests.fakes.waiting import LIMIT_SECONDS, until
from tests.integration.service.conftest import Api, open_client, run_parts

URL = f"s3://{BUCKET}/reports"
KEY = "k" * 32
SCHEMA = pa.schema([("n", pa.int64())])


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with run_s3() as server:
        yield server


@pytest.fixture(autouse=True)
def environment(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, server)


def set_environment(monkeypatch: pytest.MonkeyPatch, server: S3Server, url: str | None = None) -> None:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    if url is not None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Give a place of a test's own."""
    return f"{URL}/{tmp_path.name}"


@pytest.fixture
def store(tmp_path: Path, url: str) -> ResultStore:
    return ResultStore.connect(tmp_path, url)


def make_rows(*numbers: int) -> RowBatches:
    return RowBatches(SCHEMA, iter([pa.record_batch([pa.array(numbers, pa.int64())], schema=SCHEMA)]))


def open_bucket() -> Any:
    """Open the bucket as a stranger."""
    return fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False)


def build_impatient(tmp_path: Path, url: str) -> ResultStore:
    """Build a store whose clock runs away: what does not succeed at once is given up."""
    objects = ObjectStore.connect(url, monotonic=itertools.count(0, 100).__next__)
    return ResultStore(tmp_path, ObjectFiles(objects))


def test_result_is_read_as_it_was_written_and_leaves_nothing_on_this_machine(
    store: ResultStore, tmp_path: Path
) -> None:
    assert store.write("run-1/a.parquet", make_rows(1, 2, 3)) == 3
    assert store.read_rows("run-1/a.parquet") == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_large_result_is_uploaded_in_parts_and_read_by_its_row_groups(
    store: ResultStore, tmp_path: Path
) -> None:
    schema = pa.schema([("n", pa.int64()), ("text", pa.binary())])
    noise = [os.urandom(1024 * 1024) for _ in range(2)]
    batch = pa.record_batch([pa.array(range(40)), pa.array(noise * 20)], schema=schema)
    store.write("run-1/large.parquet", RowBatches(schema, (batch.slice(one, 1) for one in range(40))))
    found = store.find("run-1/large.parquet")
    assert found is not None
    assert found.size > 30 * 1024 * 1024
    assert "-" in found.version, "S3 marks what was uploaded in parts"
    with store.open("run-1/large.parquet") as result:
        assert [n for batch in result.read_slice(37, 2) for n in batch["n"].to_pylist()] == [37, 38]


def test_failing_query_leaves_no_result(store: ResultStore, tmp_path: Path) -> None:
    def fail() -> Iterator[pa.RecordBatch]:
        yield from make_rows(1).batches
        raise ResultError("the database went away")

    with pytest.raises(ResultError):
        store.write("run-1/a.parquet", RowBatches(SCHEMA, fail()))
    assert not store.has_any()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_deleted_result_is_gone_and_not_empty(store: ResultStore) -> None:
    store.write("run-1/a.parquet", make_rows(1))
    store.delete_folders(["run-1"])
    assert store.find("run-1/a.parquet") is None
    with pytest.raises(ResultGoneError, match="no longer kept"):
        store.read_rows("run-1/a.parquet")


@pytest.mark.parametrize("kept_bytes", [0, 4, 200])
def test_damaged_result_is_an_error(store: ResultStore, url: str, kept_bytes: int) -> None:
    store.write("run-1/a.parquet", make_rows(*range(1000)))
    bucket, place = open_bucket(), f"{url}/run-1/a.parquet"
    bucket.pipe_file(place, bucket.cat_file(place)[:kept_bytes])
    with pytest.raises(ResultError, match="damaged"):
        store.read_rows("run-1/a.parquet")


def test_result_that_is_replaced_while_it_is_read_is_not_mixed(tmp_path: Path, url: str) -> None:
    store = build_impatient(tmp_path, url)
    store.write("run-1/a.parquet", make_rows(*range(1000)))
    found = store.find("run-1/a.parquet")
    assert found is not None
    assert not isinstance(found.source, Path)
    assert found.source.read(4) == b"PAR1"
    open_bucket().pipe_file(f"{url}/run-1/a.parquet", b"x" * found.size)
    with pytest.raises(ObjectStoreError):
        found.source.read(100)


def test_folders_of_other_runs_are_kept(store: ResultStore) -> None:
    for name in ("run-1/a.parquet", "run-1/b.parquet", "run-10/a.parquet"):
        store.write(name, make_rows(1))
    store.delete_folders(["run-1", "run-2"])
    assert store.find("run-1/a.parquet") is None
    assert store.find("run-10/a.parquet") is not None


def test_only_old_results_are_cleaned_and_other_objects_never(store: ResultStore, url: str) -> None:
    for name in ("run-1/a.parquet", "run-2/a.parquet"):
        store.write(name, make_rows(1))
    bucket, foreign = open_bucket(), f"{url}/somebody/elses/a.parquet"
    bucket.pipe_file(foreign, b"x")
    now = datetime.now(UTC)
    assert list(store.list_written(now - timedelta(days=1))) == []
    assert sorted(store.list_written(now + timedelta(days=1))) == ["run-1/a.parquet", "run-2/a.parquet"]
    assert store.clean(now - timedelta(days=1)) == 0
    assert store.clean(now + timedelta(days=1), spared=["run-2"]) == 1
    assert store.find("run-1/a.parquet") is None
    assert store.find("run-2/a.parquet") is not None
    assert bucket.cat_file(foreign) == b"x"


def test_store_that_is_away_keeps_nothing_and_says_so(tmp_path: Path, url: str) -> None:
    with run_s3() as other, pytest.MonkeyPatch.context() as patch:
        set_environment(patch, other)
        store = build_impatient(tmp_path, url)
        store.write("run-1/a.parquet", make_rows(1))
        other.stop()
        for use in (
            lambda: store.write("run-1/b.parquet", make_rows(1)),
            lambda: store.read_rows("run-1/a.parquet"),
            lambda: store.delete_folders(["run-1"]),
            lambda: store.has_any(),
        ):
            with pytest.raises(ObjectStoreError, match="does not answer") as caught:
                use()
            assert caught.value.is_temporary
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_write_outlasts_a_short_absence(tmp_path: Path, url: str) -> None:
    with run_s3(starts=False) as other, pytest.MonkeyPatch.context() as patch:
        set_environment(patch, other)
        pauses: list[float] = []

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                other.start()

        store = ResultStore(tmp_path, ObjectFiles(ObjectStore.connect(url, sleep=sleep)))
        store.write("run-1/a.parquet", make_rows(1))
        assert store.read_rows("run-1/a.parquet") == [{"n": 1}]
        assert pauses == sorted(pauses)


def test_connections_that_break_are_made_again_and_never_shorten_a_result(
    tmp_path: Path, server: S3Server, url: str
) -> None:
    with Relay.open(server.url) as relay, pytest.MonkeyPatch.context() as patch:
        set_environment(patch, server, relay.url)
        store = ResultStore.connect(tmp_path, url)
        store.write("run-1/a.parquet", make_rows(1, 2))
        with relay.be_down():
            pass
        assert store.read_rows("run-1/a.parquet") == [{"n": 1}, {"n": 2}]


def test_start_waits_for_a_store_that_is_away(tmp_path: Path, url: str) -> None:
    with run_s3(starts=False) as other, pytest.MonkeyPatch.context() as patch:
        set_environment(patch, other)
        files = ObjectFiles(ObjectStore.connect(url), sleep=lambda _: other.start())
        files.prepare(wait_seconds=60)
        other.stop()
        with pytest.raises(PushMetricsConfigurationError, match="--results-url"):
            files.prepare(wait_seconds=0)


def test_start_refuses_a_bucket_that_is_not_there(tmp_path: Path) -> None:
    store = ResultStore.connect(tmp_path, "s3://no-such-bucket/x")
    with pytest.raises(PushMetricsConfigurationError, match=r"write an object.*does not exist"):
        store.prepare(wait_seconds=60)


def test_start_refuses_wrong_credentials_without_showing_them(tmp_path: Path) -> None:
    with run_s3(checks_keys=True) as strict, pytest.MonkeyPatch.context() as patch:
        set_environment(patch, strict)
        store = ResultStore.connect(tmp_path, URL)
        with pytest.raises(PushMetricsConfigurationError, match="PermissionError") as caught:
            store.prepare(wait_seconds=60)
        assert "AWS_SECRET_ACCESS_KEY" in str(caught.value)
        assert SECRET_KEY not in str(caught.value)
        with pytest.raises(ObjectStoreError) as refused:
            store.write("run-1/a.parquet", make_rows(1))
        assert not refused.value.is_temporary


@pytest.mark.slow
def test_service_with_wrong_credentials_ends_with_a_sentence(tmp_path: Path) -> None:
    secret_file = tmp_path / "url"
    secret_file.write_text(f"{URL}\n")
    with run_s3(checks_keys=True) as strict, pytest.MonkeyPatch.context() as patch:
        set_environment(patch, strict)
        patch.setenv("PUSHMETRICS_SERVICE_RESULTS_URL_FILE", str(secret_file))
        with run_service(tmp_path / "data") as service:
            assert service.process.wait(LIMIT_SECONDS) == 1
    output = (tmp_path / "data.log").read_text()
    assert "does not let this process write an object" in output
    assert SECRET_KEY not in output
    assert "Traceback" not in output


@pytest.fixture
def parts(tmp_path: Path, url: str) -> Iterator[ServiceParts]:
    with run_parts(tmp_path, results_url=url) as parts:
        yield parts


@pytest.fixture
async def api(parts: ServiceParts) -> AsyncIterator[Api]:
    async with open_client(build_app(parts)) as client:
        yield Api(client, parts)


async def test_reader_finds_no_difference_between_a_folder_and_object_storage(api: Api) -> None:
    made = api.make_report(q=sql("SELECT range AS n, repeat('x', 10) AS text FROM range(20000)"))
    outputs = await api.run(made.id)
    assert outputs["status"] == "success"
    assert not list(api.parts.settings.data_dir.rglob("*.parquet"))
    link = outputs["queries"][0]["query_result"]
    for media_type in EXTENSIONS.values():
        answer = await api.client.get(link, headers={"Accept": media_type})
        assert answer.status_code == 200, media_type
        assert answer.headers["content-type"].startswith(media_type)
        known = {"Accept": media_type, "If-None-Match": answer.headers["etag"]}
        assert (await api.client.get(link, headers=known)).status_code == 304
    assert len((await api.client.get(link)).json()["data"]) == 20_000
    rows = await api.client.get(
        f"/app/results/run/{outputs['run_id']}/{made.blocks['q']}/rows", params={"offset": 19_999}
    )
    assert rows.json()["rows"] == [["19999", "x" * 10]]


async def test_parquet_is_given_in_ranges(api: Api) -> None:
    outputs = await api.run(api.make_report(q=sql("SELECT range AS n FROM range(1000)")).id)
    link = outputs["queries"][0]["query_result"]

    async def get(**headers: str) -> httpx.Response:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return await api.client.get(link, headers={"Accept": PARQUET, **names})

    whole = await get()
    size = len(whole.content)
    assert pq.read_table(pa.BufferReader(whole.content)).num_rows == 1000
    assert whole.headers["content-length"] == str(size)
    assert whole.headers["accept-ranges"] == "bytes"
    for wanted, part in (
        ("bytes=0-3", slice(0, 4)),
        ("bytes=-4", slice(size - 4, size)),
        (f"bytes={size - 8}-", slice(size - 8, size)),
        (f"bytes=10-{size + 100}", slice(10, size)),
        (f"bytes=-{size + 100}", slice(0, size)),
    ):
        answer = await get(Range=wanted)
        assert (answer.status_code, answer.content) == (206, whole.content[part]), wanted
        assert answer.headers["content-range"] == f"bytes {part.start}-{part.stop - 1}/{size}"
    beyond = await get(Range=f"bytes={size}-")
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    for ignored in ("bytes=5-2", "lines=1-2", "bytes=0-1,3-4", "bytes=-"):
        assert (await get(Range=ignored)).content == whole.content, ignored
    assert (await get(Range="bytes=0-3", If_Range='"another"')).status_code == 200
    assert (await get(Range="bytes=0-3", If_Range=whole.headers["etag"])).content == b"PAR1"


async def test_deleted_object_is_404(api: Api) -> None:
    outputs = await api.run(api.make_report(q=sql("SELECT 1 AS n")).id)
    api.parts.results.delete_folders([f"run-{outputs['run_id']}"])
    answer = await api.client.get(outputs["queries"][0]["query_result"])
    assert (answer.status_code, answer.json()) == (404, {"message": "The result is no longer kept"})


@pytest.mark.slow
async def test_deleted_report_leaves_no_objects(api: Api) -> None:
    made = api.make_report(q=sql("SELECT 1 AS n"))
    await api.run(made.id)
    assert (await api.client.delete(f"/api/v1/report/{made.id}")).status_code == 200
    await until(lambda: not api.parts.results.has_any())


def run_maintenance(command: str, archive: Path, data_dir: Path, results_url: str) -> None:
    result = CliRunner().invoke(
        app,
        [command, str(archive), "--data", str(data_dir)],
        env={"PUSHMETRICS_SERVICE_RESULTS_URL": results_url, "PUSHMETRICS_SERVICE_SECRET_KEYS": KEY},
    )
    assert result.exit_code == 0, result.stderr


async def test_backup_has_the_results_and_moves_them_to_another_place(tmp_path: Path, url: str) -> None:
    first, archive = tmp_path / "first", tmp_path / "backup.tar"
    with run_parts(first, results_url=url, secret_keys=(KEY,)) as parts:
        async with open_client(build_app(parts)) as client:
            api = Api(client, parts)
            outputs = await api.run(api.make_report(q=sql("SELECT 42 AS n")).id)
    link = outputs["queries"][0]["query_result"]
    await asyncio.to_thread(run_maintenance, "backup", archive, first, url)
    for name, place in (("folder", (tmp_path / "elsewhere").as_uri()), ("bucket", f"{url}-restored")):
        await asyncio.to_thread(run_maintenance, "restore", archive, tmp_path / name, place)
        with run_parts(tmp_path / name, results_url=place, secret_keys=(KEY,)) as parts:
            async with open_client(build_app(parts)) as client:
                assert (await client.get(link)).json()["data"] == [{"n": 42}]
    with pytest.raises(AssertionError, match="restore to an empty place"):
        await asyncio.to_thread(run_maintenance, "restore", archive, tmp_path / "third", url)


async def test_run_whose_result_is_refused_fails_with_the_reason(tmp_path: Path) -> None:
    with run_s3() as other, pytest.MonkeyPatch.context() as patch:
        set_environment(patch, other)
        with run_parts(tmp_path, results_url=URL) as parts:
            async with open_client(build_app(parts)) as client:
                api = Api(client, parts)
                made = api.make_report(q=sql("SELECT 1 AS n"))
                assert (await api.run(made.id))["status"] == "success"
                async with httpx.AsyncClient() as stranger:
                    await stranger.post(f"{other.url}/moto-api/reset")  # the bucket is gone
                outputs = await api.run(made.id)
    assert outputs["status"] == "failed"
    assert "does not let the service write an object" in outputs["blocks"][0]["error"]


@pytest.mark.slow
async def test_frozen_store_fails_runs_and_readers_and_stops_nobody_else(api: Api, server: S3Server) -> None:
    made = api.make_report(q=sql("SELECT 1 AS n"))
    outputs = await api.run(made.id)
    link = outputs["queries"][0]["query_result"]
    with server.be_frozen():
        readers = [asyncio.create_task(api.client.get(link, timeout=LIMIT_SECONDS)) for _ in range(60)]
        run_id = await api.trigger(made.id)
        slowest = 0.0
        for _ in range(20):
            began = time.monotonic()
            assert (await api.client.get("/health/ready")).status_code == 200
            slowest = max(slowest, time.monotonic() - began)
            await asyncio.sleep(0.1)
        assert slowest < 5
        answers = await asyncio.gather(*readers)
        assert {answer.status_code for answer in answers} == {503}
        assert all("retry-after" in answer.headers for answer in answers)
        outputs = (await api.wait_for(f"/api/reports/{made.id}/run/{run_id}", LIMIT_SECONDS)).json()
        assert outputs["status"] == "failed"
        assert "does not answer" in outputs["blocks"][0]["error"]
    await until(lambda: api.parts.results.has_any())
    assert (await api.run(made.id))["status"] == "success"
