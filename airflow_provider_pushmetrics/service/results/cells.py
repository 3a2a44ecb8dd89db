"""Columns of any type as readable text: the cells of CSV, workbooks, and tables on pages and in mails."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_pushmetrics.service.results.encoders.json_rows import encode_column
from airflow_provider_pushmetrics.service.results.encoders.texts import write_texts


def write_cells(column: pa.Array) -> pa.StringArray:
    """Write each value as ``values.write_text`` does; null stays null."""
    if not pa.types.is_nested(column.type):
        return write_texts(column)
    texts = encode_column(column)
    if pa.types.is_union(column.type) or column.null_count == 0:
        return texts
    return pc.if_else(column.is_valid(), texts, pa.scalar(None, pa.string()))
