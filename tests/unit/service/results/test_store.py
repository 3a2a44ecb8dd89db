"""Results at rest."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_pushmetrics.service.datasources.base import RowBatches
from airflow_provider_pushmetrics.service.results.store import ResultStore


def test_only_columns_that_repeat_few_values_have_dictionaries(tmp_path: Path) -> None:
    columns = {"few": ["a", "b", None, "a"] * 250, "many": list(range(1000)), "lists": [[1]] * 1000}
    table = pa.table(columns)
    ResultStore(tmp_path).write("a.parquet", RowBatches(table.schema, iter(table.to_batches(100))))
    with pq.ParquetFile(tmp_path / "a.parquet") as file:
        group = file.metadata.row_group(0)
        encodings = {name: group.column(at).encodings for at, name in enumerate(columns)}
        assert file.read().to_pydict() == columns
    assert [name for name, used in encodings.items() if "RLE_DICTIONARY" in used] == ["few"]
