"""
Conversion of Python values from drivers that do not describe the types of columns.

A column gets the narrowest type that represents all of its values without loss. Each batch is stored with
its own types; the types of the result are chosen after all rows were read.
"""

from __future__ import annotations

import datetime
import math
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_pushmetrics.service.datasources.columns.base import Conversion, RowRange
from airflow_provider_pushmetrics.service.datasources.columns.decimals import AnyDecimal, replace_special
from airflow_provider_pushmetrics.service.datasources.columns.row_batches import ConvertedColumn, pick_at

BATCH_ROWS = 10_000
BATCH_BYTES = 4 * 1024 * 1024

INTEGER, FLOAT, DECIMAL, TEXT, BINARY = "integer", "float", "decimal", "text", "binary"
BOOLEAN, DATE, TIMESTAMP, MOMENT, TIME, INTERVAL = (
    "boolean",
    "date",
    "timestamp",
    "moment",
    "time",
    "interval",
)

KINDS: Mapping[type, str] = {
    bool: BOOLEAN,
    int: INTEGER,
    float: FLOAT,
    Decimal: DECIMAL,
    str: TEXT,
    uuid.UUID: TEXT,
    bytes: BINARY,
    bytearray: BINARY,
    memoryview: BINARY,
    datetime.date: DATE,
    datetime.datetime: TIMESTAMP,
    datetime.time: TIME,
    datetime.timedelta: INTERVAL,
}

SIMPLE_KINDS: Mapping[type, str] = {bool: BOOLEAN, int: INTEGER, float: FLOAT, str: TEXT, bytes: BINARY}
"""Types that Arrow accepts without conversion."""

STORED: Mapping[str, pa.DataType] = {
    BOOLEAN: pa.bool_(),
    INTEGER: pa.int64(),
    FLOAT: pa.float64(),
    DECIMAL: pa.string(),
    TEXT: pa.string(),
    BINARY: pa.binary(),
    DATE: pa.date32(),
    TIMESTAMP: pa.timestamp("us"),
    MOMENT: pa.timestamp("us", "UTC"),
    TIME: pa.time64("us"),
    INTERVAL: pa.month_day_nano_interval(),
}
"""The storage of each kind until the type of its column is known."""

MIXED = frozenset({INTEGER, FLOAT, DECIMAL, TEXT, BINARY})
"""Kinds that can be mixed in one column."""

LARGEST_EXACT_FLOAT = 2**53
INT64 = range(-(2**63), 2**63)


class AnyValue(Conversion):
    """Values of any kind; the type is the narrowest for all of them."""

    is_deferred = True

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._kinds: set[str] = set()
        self._largest_integer = 0
        self._digits = AnyDecimal(name)

    @property
    def type(self) -> pa.DataType:
        """The narrowest type; text if all values are NULL."""
        kinds = self._kinds
        if not kinds:
            return pa.string()
        if len(kinds) == 1 and DECIMAL not in kinds:
            return STORED[next(iter(kinds))]
        if BINARY in kinds:
            return pa.binary()
        if kinds == {INTEGER, FLOAT} and self._largest_integer <= LARGEST_EXACT_FLOAT:
            return pa.float64()
        return self._digits.type if kinds <= {INTEGER, FLOAT, DECIMAL} else pa.string()

    def observe(self, values: pa.Array) -> None:
        """Take the kinds and sizes of a batch into account."""
        for kind, stored in _list_kinds(values):
            self._kinds.add(kind)
            if kind == INTEGER:
                bounds = pc.min_max(stored).as_py()
                self._largest_integer = max(self._largest_integer, -bounds["min"], bounds["max"])
                self._digits.observe_digits(len(str(self._largest_integer)), 0)
            elif kind == FLOAT:
                self._observe_floats(stored.drop_null().to_pylist())
            elif kind == DECIMAL:
                self._digits.observe(stored)

    def convert(self, values: pa.Array, rows: RowRange) -> pa.Array:
        """Convert the values to the type that was found."""
        if len(self._kinds) > 1 and not self._kinds <= MIXED:
            kinds = ", ".join(sorted(self._kinds))
            raise self.build_error(rows, f"it contains values of several types ({kinds}): cast it to one.")
        found = pa.nulls(len(values), self.type)
        for kind, stored in _list_kinds(values):
            found = pc.coalesce(found, self._convert_kind(kind, stored))
        return found

    def _observe_floats(self, values: Sequence[float]) -> None:
        finite = [value for value in values if math.isfinite(value)]
        if len(finite) < len(values):
            self._digits.observe_special()
        if finite:
            # A binary fraction has as many decimal places as binary places.
            scale = max(value.as_integer_ratio()[1] for value in finite).bit_length() - 1
            self._digits.observe_digits(len(str(int(max(map(abs, finite))))), scale)

    def _convert_kind(self, kind: str, stored: pa.Array) -> pa.Array:
        wanted = self.type
        if stored.type == wanted and kind != DECIMAL:
            return stored
        if pa.types.is_decimal(wanted):
            return _write_exactly(kind, stored).cast(wanted)
        if pa.types.is_floating(wanted):
            return stored.cast(wanted)
        text = _write_text(kind, stored)
        return text if text.type == wanted else text.cast(wanted)


def list_columns(names: Sequence[str]) -> list[ConvertedColumn]:
    """List the columns of :func:`read_batches`."""
    return [ConvertedColumn(AnyValue(name), pick_at(index)) for index, name in enumerate(names)]


def read_batches(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[pa.RecordBatch]:
    """Build batches of a few megabytes; each column has the types of its values."""
    kept: list[Sequence[Any]] = []
    size = 0
    for row in rows:
        kept.append(row)
        for value in row:
            if value.__class__ is str or value.__class__ is bytes:
                size += len(value)
        if len(kept) >= BATCH_ROWS or size >= BATCH_BYTES:
            yield _build_batch(names, kept)
            kept, size = [], 0
    if kept:
        yield _build_batch(names, kept)


def _build_batch(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> pa.RecordBatch:
    arrays = [_build_array(values) for values in zip(*rows, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, names=[str(index) for index in range(len(names))])


def _build_array(values: Sequence[Any]) -> pa.Array:
    """Store values in a struct with one child for each kind that occurs."""
    types = set(map(type, values)) - {type(None)}
    if not types:
        return pa.nulls(len(values))
    kind = SIMPLE_KINDS.get(next(iter(types))) if len(types) == 1 else None
    if kind is not None:
        try:
            return pa.StructArray.from_arrays([pa.array(values, STORED[kind])], names=[kind])
        except OverflowError:
            pass  # an integer of more than 64 bits
    kinds = [_find_kind(value) for value in values]
    names = sorted({kind for kind in kinds if kind is not None})
    children = [
        pa.array(
            [_simplify(value) if one == name else None for one, value in zip(kinds, values, strict=True)],
            STORED[name],
        )
        for name in names
    ]
    return pa.StructArray.from_arrays(children, names=names)


def _find_kind(value: Any) -> str | None:
    """Find the kind of a value; None for NULL. Values of unknown types are stored as text."""
    if value is None:
        return None
    kind = KINDS.get(type(value)) or next(
        (kind for type_, kind in KINDS.items() if isinstance(value, type_)), TEXT
    )
    if kind == TIMESTAMP and value.tzinfo is not None:
        return MOMENT
    return DECIMAL if kind == INTEGER and value not in INT64 else kind


def _simplify(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}" if value.is_finite() else str(value).lower().replace("infinity", "inf")
    if isinstance(value, int) and value not in INT64:
        return str(Decimal(value))
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    return value if isinstance(value, tuple(KINDS)) and not isinstance(value, uuid.UUID) else str(value)


def _list_kinds(values: pa.Array) -> list[tuple[str, pa.Array]]:
    if pa.types.is_null(values.type):
        return []
    return [(field.name, values.field(index)) for index, field in enumerate(values.type)]


def _write_text(kind: str, stored: pa.Array) -> pa.Array:
    """Write values as text; bytes stay bytes. Floats have the shortest exact digits."""
    if kind == BINARY:
        return stored
    text = stored.cast(pa.string())
    return replace_special(text) if kind in (FLOAT, DECIMAL) else text


def _write_exactly(kind: str, stored: pa.Array) -> pa.Array:
    """Write numbers with all digits; floats with those of their binary fraction."""
    if kind != FLOAT:
        return stored.cast(pa.string())
    return pa.array(
        [None if value is None else f"{Decimal(value):f}" for value in stored.to_pylist()], pa.string()
    )
