"""Rows as CSV (RFC 4180), by whole columns: null is an empty cell, and the empty text is ``""``."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_pushmetrics.service.datasources.base import split_batch
from airflow_provider_pushmetrics.service.results.cells import write_cells
from airflow_provider_pushmetrics.service.results.distinct import find_distinct
from airflow_provider_pushmetrics.service.results.encoders.json_rows import MAX_BATCH_BYTES
from airflow_provider_pushmetrics.service.results.encoders.texts import has_any, view_bytes, write_texts

QUOTED = b'",\r\n'
TO_QUOTE = '[",\\r\\n]'
END = "\r\n"

FORMULA = "^[=+\\-@\\t\\r]"
"""Texts that a spreadsheet treats as a formula: https://owasp.org/www-community/attacks/CSV_Injection."""

PLAIN_NUMBER = "^[+\\-]?[0-9]+(\\.[0-9]+)?$"
"""A text that is a number is harmless, and a guard would change it."""

GUARD = "'"


def encode_header(names: list[str], *, guard: bool = False) -> bytes | memoryview:
    return (
        b""
        if not names
        else encode_rows(
            pa.record_batch([pa.array([name], pa.string()) for name in names], names=[""] * len(names)),
            guard=guard,
        )
    )


def encode_rows(batch: pa.RecordBatch, *, guard: bool = False) -> bytes | memoryview:
    """
    Write each row as a line.

    :param guard: Put ``'`` before texts that look like a formula, except in columns of numbers.
    """
    if batch.num_rows > 1 and batch.nbytes > MAX_BATCH_BYTES:
        return b"".join(encode_rows(part, guard=guard) for part in split_batch(batch, MAX_BATCH_BYTES))
    if batch.num_rows == 0 or batch.num_columns == 0:
        return b""
    *columns, last = batch.columns
    # The line end is added to the last cells, so that only these are copied once more.
    cells = [_encode_cells(column, guard) for column in columns]
    return view_bytes(_join(*cells, _encode_cells(last, guard, END), ","))


def _join(*texts: pa.StringArray | str) -> pa.StringArray:
    return pc.binary_join_element_wise(*texts, null_handling="replace", null_replacement="")


def _encode_cells(column: pa.Array, guard: bool, end: str = "") -> pa.StringArray:
    distinct = find_distinct(column)
    if distinct is not None:
        return _end_cells(_write_cells(distinct.dictionary, guard), end).take(distinct.indices)
    return _end_cells(_write_cells(column, guard), end)


def _end_cells(texts: pa.StringArray, end: str) -> pa.StringArray:
    return _join(texts, end, "") if end else texts


def _write_cells(column: pa.Array, guard: bool) -> pa.StringArray:
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return write_texts(column)
    texts = write_cells(column)
    if guard:
        texts = _guard(texts)
    is_plain = pa.types.is_boolean(kind) or pa.types.is_temporal(kind)
    return texts if is_plain and not guard else _quote(texts)


def _guard(texts: pa.StringArray) -> pa.StringArray:
    is_formula = pc.match_substring_regex(texts, FORMULA)
    if not pc.any(is_formula).as_py():
        return texts
    is_formula = pc.and_not(is_formula, pc.match_substring_regex(texts, PLAIN_NUMBER))
    return pc.if_else(is_formula, pc.binary_join_element_wise(GUARD, texts, ""), texts)


def _quote(texts: pa.StringArray) -> pa.StringArray:
    """Quote texts that need it, and the empty text."""
    is_empty = pc.equal(pc.binary_length(texts), 0)
    if has_any(texts, QUOTED):
        doubled = pc.binary_join_element_wise('"', pc.replace_substring(texts, '"', '""'), '"', "")
        must_quote = pc.or_(is_empty, pc.match_substring_regex(texts, TO_QUOTE))
        return pc.if_else(must_quote, doubled, texts)
    if pc.any(is_empty).as_py():
        return pc.if_else(is_empty, pa.scalar('""'), texts)
    return texts
