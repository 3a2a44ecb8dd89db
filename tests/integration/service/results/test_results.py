"""Results over HTTP: what a client has it is not sent again, parts of a file, and what was cleaned up."""

from __future__ import annotations

import io
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from airflow_provider_pushmetrics.service.api.results import is_known
from airflow_provider_pushmetrics.service.results.encoders.formats import (
    ARROW,
    CSV,
    FORMATS,
    JSON,
    NDJSON,
    PARQUET,
)
from tests.fakes.service_reports import sql
from tests.integration.service.conftest import Api

NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def make_result(api: Api) -> str:
    """Run a query, and give where its result is read."""
    made = api.make_report(numbers=sql("SELECT range AS n, 'x' || range AS t FROM range(1000)"))
    outputs = await api.run(made.id)
    url: str = outputs["queries"][0]["query_result"]
    return url


async def test_result_is_not_sent_to_who_has_it(api: Api) -> None:
    url = await make_result(api)
    etags = set()
    for media_type in FORMATS:
        answer = await api.client.get(url, headers={"Accept": media_type})
        assert answer.headers["vary"] == "Accept, Accept-Encoding, Authorization, Cookie"
        assert answer.headers["cache-control"] == "private, no-cache"
        etags.add(answer.headers["etag"])
        again = await api.client.get(
            url, headers={"Accept": media_type, "If-None-Match": f'"other", {answer.headers["etag"]}'}
        )
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == answer.headers["etag"]
    assert len(etags) == len(FORMATS), "each format is a thing of its own"
    other = await api.client.get(url, headers={"Accept": JSON, "If-None-Match": '"other"'})
    assert other.status_code == 200


async def test_parts_of_a_parquet_file_can_be_read(api: Api) -> None:
    url = await make_result(api)
    whole = await api.client.get(url, headers={"Accept": PARQUET})
    assert whole.headers["accept-ranges"] == "bytes"
    assert pq.read_table(io.BytesIO(whole.content)).num_rows == 1000
    part = await api.client.get(url, headers={"Accept": PARQUET, "Range": "bytes=4-9"})
    assert (part.status_code, part.content) == (206, whole.content[4:10])
    assert part.headers["content-range"] == f"bytes 4-9/{len(whole.content)}"
    end = await api.client.get(url, headers={"Accept": PARQUET, "Range": "bytes=-4"})
    assert end.content == b"PAR1"
    beyond = await api.client.get(url, headers={"Accept": PARQUET, "Range": "bytes=999999999-"})
    assert beyond.status_code == 416
    changed = await api.client.get(
        url, headers={"Accept": PARQUET, "Range": "bytes=4-9", "If-Range": '"another"'}
    )
    assert (changed.status_code, changed.content) == (200, whole.content)


@pytest.mark.parametrize(
    ("header", "is_so"),
    [
        (None, False),
        ("", False),
        ('"a"', True),
        ('W/"a"', True),
        ('"b" , "a"', True),
        ("*", True),
        ("a", False),
    ],
)
def test_etag_is_compared_as_http_says(header: str | None, is_so: bool) -> None:
    assert is_known(header, '"a"') is is_so


MEASURE = """
import resource, sys
import pyarrow as pa
from pathlib import Path
from airflow_provider_pushmetrics.service.results.encoders.formats import (
    ResultHeader, write_arrow, write_csv, write_json, write_ndjson,
)
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.datasources.base import RowBatches

def make(rows):
    schema = pa.schema({"n": pa.int64(), "x": pa.float64(), "t": pa.string()})
    def batches():
        for start in range(0, rows, 65536):
            numbers = range(start, min(start + 65536, rows))
            columns = [list(numbers), [n / 7 for n in numbers], [f"text {n}" for n in numbers]]
            yield pa.record_batch([pa.array(c, t) for c, t in zip(columns, schema.types)], schema=schema)
    return RowBatches(schema, batches())

results = ResultStore(Path(sys.argv[1]))
head = ResultHeader(1, "q", 1, "success")
write = {
    "application/json": lambda file: write_json(head, file), "application/x-ndjson": write_ndjson,
    "text/csv": write_csv, "application/vnd.apache.arrow.stream": write_arrow,
}[sys.argv[2]]
results.write("small", make(65536))
with results.open("small") as file:
    for _ in write(file): pass
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
results.write("large", make(1_000_000))
size = 0
with results.open("large") as file:
    for chunk in write(file): size += len(chunk)
assert size > 20_000_000, size
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("media_type", [JSON, NDJSON, CSV, ARROW])
def test_million_rows_take_little_more_memory_than_few(tmp_path: Path, media_type: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path), media_type],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) <= 64, f"{done.stdout.strip()} MiB more"
