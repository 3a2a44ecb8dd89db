"""Checks of values before a result is stored: stored results can be served in every format."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_pushmetrics.iso8601 import SECONDS_PER_DAY
from airflow_provider_pushmetrics.service.results.arrow_types import is_json
from airflow_provider_pushmetrics.service.results.conversion import slice_lists
from airflow_provider_pushmetrics.service.results.encoders.texts import NANOS
from airflow_provider_pushmetrics.service.results.values import parse_json
from airflow_provider_pushmetrics.serving.json_bodies import build_decoder

MAX_VALUE_BYTES = 256 * 1024 * 1024
"""In JSON a text can become six times as long, and a column of texts holds 2 GiB."""


def check_column(column: pa.Array) -> None:
    """
    Make sure that each value of a column, whose type ``choose_schema`` gave, can be encoded.

    :raises ValueError: if not; pyarrow.ArrowInvalid is one.
    """
    column.validate()
    if column.nbytes > MAX_VALUE_BYTES:
        _check_sizes(column)
    for leaf in _find_leaves(column):
        _check_leaf(leaf)


def _find_leaves(column: pa.Array) -> Iterator[pa.Array]:
    kind = column.type
    if pa.types.is_struct(kind) or pa.types.is_union(kind):
        for number in range(kind.num_fields):
            yield from _find_leaves(column.field(number))
    elif pa.types.is_nested(kind):
        _, first, length = slice_lists(column)
        parts = (column.keys, column.items) if pa.types.is_map(kind) else (column.values,)
        for part in parts:
            yield from _find_leaves(part.slice(first, length))
    else:
        yield column


def _check_leaf(leaf: pa.Array) -> None:
    kind = leaf.type
    if is_json(kind):
        _check_documents(leaf.storage)
    elif pa.types.is_time(kind):
        last = SECONDS_PER_DAY * 1_000_000_000 // NANOS[kind.unit]
        bounds = pc.min_max(leaf.view(pa.int64())).as_py()
        if bounds["min"] is not None and not 0 <= bounds["min"] <= bounds["max"] <= last:
            raise ValueError("a time of day is not between 00:00:00 and 24:00:00")
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_decimal(kind):
        leaf.validate(full=True)


def _check_documents(texts: pa.Array) -> None:
    texts.validate(full=True)
    for text in texts.to_pylist():
        if text is not None:
            _check_document(text)


def _check_document(text: str) -> None:
    try:
        _DECODER.decode(text)
    except (ValueError, RecursionError):
        parse_json(text)  # supports numbers of any length, and has error messages


def _check_sizes(column: pa.Array) -> None:
    for at in range(len(column)):
        if column.slice(at, 1).nbytes > MAX_VALUE_BYTES:
            raise ValueError(f"one value is larger than {MAX_VALUE_BYTES // 1024 // 1024} MiB")


_DECODER = build_decoder()
