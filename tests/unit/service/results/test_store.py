"""Results at rest."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_pushmetrics.service.datasources.base import RowBatches
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.results.stored_result import ResultError
from tests.fakes.full_disk import fill_disk


def test_only_columns_that_repeat_few_values_have_dictionaries(tmp_path: Path) -> None:
    columns = {"few": ["a", "b", None, "a"] * 250, "many": list(range(1000)), "lists": [[1]] * 1000}
    table = pa.table(columns)
    ResultStore(tmp_path).write("a.parquet", RowBatches(table.schema, iter(table.to_batches(100))))
    with pq.ParquetFile(tmp_path / "a.parquet") as file:
        group = file.metadata.row_group(0)
        encodings = {name: group.column(at).encodings for at, name in enumerate(columns)}
        assert file.read().to_pydict() == columns
    assert [name for name, used in encodings.items() if "RLE_DICTIONARY" in used] == ["few"]


def test_one_large_batch_becomes_several_groups_with_all_its_rows(tmp_path: Path) -> None:
    table = pa.table({"text": [f"{number:0500d}" for number in range(40_000)]})
    ResultStore(tmp_path).write(
        "a.parquet", RowBatches(table.schema, iter(table.combine_chunks().to_batches()))
    )
    with pq.ParquetFile(tmp_path / "a.parquet") as file:
        assert file.num_row_groups > 1
        assert file.read().equals(table)


def test_full_disk_is_the_reason_that_a_result_is_not_stored(tmp_path: Path) -> None:
    table = pa.table({"text": [f"{number:0500d}" for number in range(40_000)]})
    rows = RowBatches(table.schema, iter(table.to_batches(1000)))
    with fill_disk(os.getpid()):
        with pytest.raises(ResultError, match="cannot be stored: File too large"):
            ResultStore(tmp_path).write("run-1/a.parquet", rows)
        with pytest.raises(ResultError, match="cannot be stored: File too large"):
            ResultStore(tmp_path).write_bytes("run-1/a.zip", bytes(20_000_000))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
