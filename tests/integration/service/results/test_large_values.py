"""Results of large values: written and read a few at a time, and held to a size in templates."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from airflow_provider_pushmetrics.service.datasources.base import RowBatches
from airflow_provider_pushmetrics.service.results.result_writer import GROUP_BYTES
from airflow_provider_pushmetrics.service.results.store import MAX_TEMPLATE_BYTES, ResultStore
from airflow_provider_pushmetrics.service.results.stored_result import ResultError
from tests.fakes.memory import PeakMemory
from tests.fakes.service_reports import sql, text
from tests.integration.service.conftest import Api

MIB = 1024 * 1024
SCHEMA = pa.schema([("v", pa.string())])


def make_rows(count: int, size: int) -> RowBatches:
    """Make rows of equal values, one in each batch."""

    batch = pa.RecordBatch.from_arrays([pa.array(["x" * size])], schema=SCHEMA)
    return RowBatches(SCHEMA, (batch for _ in range(count)))


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path)


@pytest.mark.slow
def test_values_near_the_limit_are_written_with_the_memory_of_few(store: ResultStore) -> None:
    store.write("r/small.parquet", make_rows(1, 10))
    rows = make_rows(20, 16 * MIB)
    with PeakMemory() as peak:
        assert store.write("r/large.parquet", rows) == 20
    assert peak.growth_bytes < 64 * MIB


def test_equal_values_that_take_no_space_in_the_file_are_read_few_at_a_time(store: ResultStore) -> None:
    store.write("r/equal.parquet", make_rows(1000, MIB // 4))
    assert (found := store.find("r/equal.parquet")) is not None
    assert found.size < MIB
    with store.open("r/equal.parquet") as result, PeakMemory() as peak:
        sizes = [(batch.num_rows, batch.nbytes) for batch in result.read_batches()]
    assert sum(rows for rows, _ in sizes) == 1000
    assert max(size for _, size in sizes) <= GROUP_BYTES + MIB
    assert peak.growth_bytes < 64 * MIB


@pytest.mark.parametrize(("offset", "limit"), [(0, 3), (70, 5), (199, 10), (63, 2), (500, 1)])
def test_slice_over_several_groups_has_its_rows(store: ResultStore, offset: int, limit: int) -> None:
    numbers = [f"{number:05}" + "x" * MIB for number in range(200)]
    batches = (pa.RecordBatch.from_arrays([pa.array([text])], schema=SCHEMA) for text in numbers)
    store.write("r/slices.parquet", RowBatches(SCHEMA, batches))
    with store.open("r/slices.parquet") as result:
        found = [row["v"] for batch in result.read_slice(offset, limit) for row in batch.to_pylist()]
    assert found == numbers[offset : offset + limit]


def test_template_takes_rows_up_to_a_size(store: ResultStore) -> None:
    store.write("r/fits.parquet", make_rows(15, MIB))
    assert len(store.read_rows("r/fits.parquet")) == 15
    store.write("r/large.parquet", make_rows(2000, MIB))
    with PeakMemory() as peak, pytest.raises(ResultError, match="the rows have more than 16,777,216 bytes"):
        store.read_rows("r/large.parquet")
    assert peak.growth_bytes < 4 * MAX_TEMPLATE_BYTES


async def test_block_whose_rows_are_too_large_for_a_template_fails_with_a_sentence(api: Api) -> None:
    made = api.make_report(
        q=sql("SELECT repeat('x', 100000) AS v FROM range(200)"), t=text("{{ q.data | length }} rows")
    )
    outputs = await api.run(made.id)
    assert [block["status"] for block in outputs["blocks"]] == ["success", "failed"]
    assert "the rows have more than 16,777,216 bytes, the limit for a template" in outputs["error"]
