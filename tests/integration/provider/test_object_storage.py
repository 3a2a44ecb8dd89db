"""Results saved to S3, Google Cloud Storage and Azure Blob Storage, as emulators of them answer."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any
from uuid import uuid4

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from starlette.responses import Response

from airflow_provider_pushmetrics.exceptions import PushMetricsUnavailableError
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.hooks.results import FORMATS
from tests.fakes.airflow_versions import attach
from tests.fakes.cloud_storage import BUCKET, BUILDERS, run_server
from tests.fakes.loopback import serve_raw
from tests.fakes.object_storage import run_s3
from tests.fakes.pushmetrics import API_TOKEN, FakePushMetrics
from tests.integration.provider.conftest import Connect

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),  # an npm package may have to be installed
    pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning"),  # by gcsfs
]

BLOCK_BYTES = 5 * 1024 * 1024
"""The smallest part that S3 takes: a longer file is uploaded in several."""

LARGE = os.urandom(2 * BLOCK_BYTES + 1000)
EARLIER = b"an earlier result"

CLOUDS = {
    "s3": ("s3fs", "s3fs:S3FileSystem", "default_block_size"),
    "gs": ("gcsfs", "gcsfs.core:GCSFileSystem", "block_size"),
    "abfs": ("adlfs", "adlfs:AzureBlobFileSystem", "blocksize"),
}


class LateCopies:
    """Copies objects as Azure may: the request is accepted, and the copy is not there yet."""

    async def _cp_file(self, *args: Any, **kwargs: Any) -> None:
        pass


@dataclass
class Cloud:
    """
    An object storage, and the connection by which Airflow finds it.

    :param files: Its file system.
    """

    protocol: str
    conn_id: str
    files: Any

    def build_path(self, name: str, bucket: str = BUCKET) -> ObjectStoragePath:
        return ObjectStoragePath(f"{self.protocol}://{bucket}/{uuid4().hex}/new/{name}", conn_id=self.conn_id)

    def list_files(self, path: ObjectStoragePath) -> list[str]:
        """List the names of the files in the folder of a file."""
        self.files.invalidate_cache()
        found = self.files.find(path.parent.path)
        return [name.rpartition("/")[2] for name in found]

    def read(self, path: ObjectStoragePath) -> bytes:
        content: bytes = self.files.cat_file(path.path)
        return content


@pytest.fixture(scope="module", params=CLOUDS)
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    module, name, block_size = CLOUDS[request.param]
    pytest.importorskip(module, reason="a library of object storage")
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        options: dict[str, Any] = {}
        if request.param == "s3":
            for key, value in stack.enter_context(run_s3()).environment.items():
                patch.setenv(key, value)
        else:
            server = BUILDERS["gs" if request.param == "gs" else "az"]()
            options = dict(stack.enter_context(run_server(server)).options)
        library = resolve_name(name)
        files = type("Late", (LateCopies, library), {})(
            **options, **{block_size: BLOCK_BYTES}, skip_instance_cache=True
        )
        conn_id = f"cloud_of_tests_{request.param}"
        attach(request.param, conn_id=conn_id, fs=files)
        yield Cloud(request.param, conn_id, files)


def save(pushmetrics: FakePushMetrics, path: ObjectStoragePath, content: bytes) -> int:
    pushmetrics.results[FORMATS["csv"]] = Response(content)
    url = pushmetrics.build_result_url(pushmetrics.start_run())
    return PushMetricsHook().save_query_result(url, path)


@pytest.mark.usefixtures("whole_connection")
@pytest.mark.parametrize("content", [b"", b"a\n1\n", LARGE], ids=["empty", "small", "in-parts"])
def test_file_is_whole_and_alone_although_a_copy_ends_later(
    cloud: Cloud, pushmetrics: FakePushMetrics, content: bytes
) -> None:
    path = cloud.build_path("result.csv")
    for _ in range(2):  # the second one replaces the first
        assert save(pushmetrics, path, content) == len(content)
        assert cloud.read(path) == content
    assert cloud.list_files(path) == ["result.csv"]


@pytest.mark.usefixtures("whole_connection")
@pytest.mark.parametrize("length", [3000, len(LARGE)], ids=["small", "in-parts"])
def test_download_that_breaks_off_leaves_no_file_and_keeps_the_earlier_one(
    cloud: Cloud, pushmetrics: FakePushMetrics, connect: Connect, length: int
) -> None:
    earlier, other = cloud.build_path("result.csv"), cloud.build_path("other.csv")
    save(pushmetrics, earlier, EARLIER)
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + LARGE[:length]
    for path in (earlier, other):
        with serve_raw(reply) as server:
            connect(host=server.url, password=API_TOKEN)
            with pytest.raises(PushMetricsUnavailableError, match="was interrupted"):
                PushMetricsHook().save_query_result(f"{server.url}/api/reports/1/queries/1/run/1", path)
    gc.collect()  # a file that was not closed would now be uploaded as it is
    assert cloud.read(earlier) == EARLIER
    assert (cloud.list_files(earlier), cloud.list_files(other)) == (["result.csv"], [])
    if cloud.protocol == "s3":
        assert cloud.files.list_multipart_uploads(BUCKET) == [], "what has to be paid for"


@pytest.mark.usefixtures("whole_connection")
def test_missing_bucket_is_an_error_and_is_not_created(cloud: Cloud, pushmetrics: FakePushMetrics) -> None:
    bucket = f"missing-{uuid4().hex}"
    with pytest.raises(Exception, match=rf"(?i)bucket|container|{bucket}"):
        save(pushmetrics, cloud.build_path("result.csv", bucket), b"a\n1\n")
    cloud.files.invalidate_cache()
    assert bucket not in [name.strip("/") for name in cloud.files.ls("")]


@pytest.mark.usefixtures("whole_connection")
def test_right_to_put_objects_is_enough(pushmetrics: FakePushMetrics) -> None:
    s3fs = pytest.importorskip("s3fs", reason="the library of S3")
    with run_s3() as server:
        key, secret = server.create_writer("results")
        options = {"endpoint_url": server.url, "client_kwargs": {"region_name": "us-east-1"}}
        files = s3fs.S3FileSystem(key=key, secret=secret, **options, skip_instance_cache=True)
        attach("s3", conn_id="writer_of_tests", fs=files)
        path = ObjectStoragePath(f"s3://{BUCKET}/results/new/result.csv", conn_id="writer_of_tests")
        assert save(pushmetrics, path, b"a\n1\n") == 4
        assert save(pushmetrics, path, b"a\n") == 2  # replaced
        with pytest.raises(PermissionError):
            save(pushmetrics, path.parent.parent.parent / "elsewhere.csv", b"a\n1\n")
