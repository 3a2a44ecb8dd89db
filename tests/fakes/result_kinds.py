"""
Columns of each Arrow type with generated values, and what each value must be for a reader.

This is the oracle of the encoders: it is written for single values with numpy and ``decimal``, and shares no
code with them.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

MAX_INT = {32: 2**31 - 1, 64: 2**63 - 1}
DAY = 86_400_000_000_000


@dataclass(frozen=True)
class Digits:
    """
    A number as it must be read.

    :param is_exact: Whether each digit counts, also zeros at the end.
    """

    text: str
    is_exact: bool = True


@dataclass(frozen=True)
class Document:
    """A text that is JSON."""

    text: str


@dataclass(frozen=True)
class Kind:
    """
    A type of a column.

    :param source: The type that a source gives.
    :param final: The type that a reader finds.
    :param values: Makes values as integers, tuples and texts, from which arrays are built.
    :param tell: Says what a value is: None, bool, str, ``Digits``, ``Document``, list or dict.
    :param build: Makes an array of values and None.
    """

    source: pa.DataType
    final: pa.DataType
    values: st.SearchStrategy[Any]
    tell: Callable[[Any], Any]
    build: Callable[[pa.DataType, list[Any]], pa.Array]

    @property
    def any_value(self) -> st.SearchStrategy[Any]:
        """A value or None; a union has no null of its own."""
        return self.values if pa.types.is_union(self.source) else st.none() | self.values

    @property
    def is_document(self) -> bool:
        """Whether its texts are JSON."""
        return isinstance(self.final, pa.JsonType)


def same(told: Any, found: Any, *, by_value: bool = False) -> bool:
    """
    Compare what must be with what a reader of JSON found, whose numbers are ``Digits``.

    :param by_value: Whether numbers may be written in another way.
    """

    def compare(told: Any, found: Any) -> bool:
        return same(told, found, by_value=by_value)

    match told:
        case Document():
            return compare(load(told.text), found)
        case Digits():
            if not isinstance(found, Digits):
                return False
            if told.is_exact and not by_value:
                return told.text == found.text
            return Decimal(told.text) == Decimal(found.text)
        case float():
            return found is None and not math.isfinite(told)
        case list():
            is_alike = isinstance(found, list) and len(told) == len(found)
            return is_alike and all(map(compare, told, found))
        case dict():
            is_alike = isinstance(found, dict) and list(told) == list(found)
            return is_alike and all(map(compare, told.values(), found.values()))
        case _:
            return type(told) is type(found) and bool(told == found)


def load(text: str | bytes) -> Any:
    """Read JSON with all digits of its numbers."""
    return json.loads(text, parse_float=Digits, parse_int=Digits)


def write_moment(number: int, unit: str, offset: str = "") -> str:
    """Write a date or a moment by numpy, which knows any year."""
    date, _, clock = str(np.array(number, np.int64).astype(f"datetime64[{unit}]")).partition("T")
    year, rest = date[:-6], date[-6:]
    digits = year.lstrip("+-").rjust(4, "0")
    if year.startswith("-"):
        year = f"-{digits}"
    else:
        year = digits if len(digits) == 4 and digits != "0000" else f"+{digits}"
    clock, _, fraction = clock.partition(".")
    fraction = fraction.ljust(9, "0")
    if fraction.endswith("000"):
        fraction = fraction[:6]
    fraction = f".{fraction}" if fraction.strip("0") else ""
    return f"{year}{rest}T{clock}{fraction}{offset}" if clock else f"{year}{rest}"


def _flat(kind: pa.DataType, values: st.SearchStrategy[Any], tell: Callable[[Any], Any]) -> Kind:
    return Kind(kind, kind, values, tell, lambda wanted, raws: pa.array(raws, wanted))


def _moments(
    source: pa.DataType,
    final: pa.DataType,
    values: st.SearchStrategy[int],
    tell: Callable[[int], str],
    *,
    factor: int = 1,
) -> Kind:
    width = source.bit_width
    infinity = MAX_INT[width]

    def tell_any(number: int) -> str:
        return {infinity: "infinity", -infinity: "-infinity"}.get(number) or tell(number)

    def build(wanted: pa.DataType, raws: list[Any]) -> pa.Array:
        scale = factor if wanted == final else 1
        scaled = [one if one is None or abs(one) == infinity else one * scale for one in raws]
        kind = pa.int32() if wanted.bit_width == 32 else pa.int64()
        return pa.array(scaled, kind).view(wanted)

    if not pa.types.is_time(source):
        values = values | st.sampled_from([infinity, -infinity])
    return Kind(source, final, values, tell_any, build)


def _tell_float(value: float) -> Any:
    return Digits(repr(value), is_exact=False) if math.isfinite(value) else value


def _tell_float32(value: float) -> Any:
    return Digits(str(np.float32(value)), is_exact=False) if math.isfinite(value) else value


def _decimal(precision: int, scale: int) -> Kind:
    kind = pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
    largest = 10**precision - 1

    def build(wanted: pa.DataType, raws: list[Any]) -> pa.Array:
        made = [None if raw is None else Decimal(_write_scaled(raw, scale)) for raw in raws]
        return pa.array(made, wanted)

    return Kind(
        kind, kind, st.integers(-largest, largest), lambda raw: Digits(_write_scaled(raw, scale)), build
    )


def _write_scaled(unscaled: int, scale: int) -> str:
    digits = str(abs(unscaled)).rjust(scale + 1, "0")
    whole, fraction = digits[: len(digits) - scale], digits[len(digits) - scale :]
    return ("-" if unscaled < 0 else "") + whole + (f".{fraction}" if scale else "")


def _write_time(nanos: int) -> str:
    if nanos == DAY:
        return "24:00:00"
    return write_moment(nanos, "ns").partition("T")[2]


def _build_intervals(wanted: pa.DataType, raws: list[Any]) -> pa.Array:
    return pa.array([None if raw is None else pa.MonthDayNano(raw) for raw in raws], wanted)


def _tell_interval(raw: tuple[int, int, int]) -> str:
    """Write a duration part by part, each with its sign."""
    months, days, nanos = raw
    parts = [
        (int(math.copysign(1, months)) * (abs(months) // 12), "Y"),
        (int(math.copysign(1, months)) * (abs(months) % 12), "M"),
        (days, "D"),
    ]
    date = "".join(f"{count}{unit}" for count, unit in parts if count)
    sign = "-" if nanos < 0 else ""
    seconds = Decimal(abs(nanos)).scaleb(-9)
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    clock = "".join(f"{sign}{int(count)}{unit}" for count, unit in ((hours, "H"), (minutes, "M")) if count)
    if rest:
        digits = format(rest, "f")
        digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
        clock += f"{sign}{digits}S"
    return "P" + date + (f"T{clock}" if clock else "") if date or clock else "PT0S"


def _build_documents(wanted: pa.DataType, raws: list[Any]) -> pa.Array:
    return pa.ExtensionArray.from_storage(pa.json_(pa.string()), pa.array(raws, pa.string()))


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["", "null", '"', ",", "\r\n", "=1+1", "<r>x</r>", "\x00", "_x0041_", "-5", "\u2028", "NaN"]
)
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
).flatmap(lambda made: st.sampled_from([json.dumps(made), json.dumps(made, indent=1, ensure_ascii=False)]))

FLAT: tuple[Kind, ...] = (
    *(
        _flat(getattr(pa, name)(), st.integers(low, high), lambda raw: Digits(str(raw)))
        for name, low, high in [
            ("int8", -128, 127),
            ("int16", -(2**15), 2**15 - 1),
            ("int32", -(2**31), 2**31 - 1),
            ("int64", -(2**63), 2**63 - 1),
            ("uint8", 0, 255),
            ("uint64", 0, 2**64 - 1),
        ]
    ),
    _flat(pa.float64(), st.floats(), _tell_float),
    _flat(pa.float64(), st.floats(1e9, 1e17), _tell_float),
    _flat(pa.float32(), st.floats(width=32), _tell_float32),
    Kind(pa.float16(), pa.float32(), st.floats(width=16), _tell_float32,
         lambda wanted, raws: pa.array([None if raw is None else np.float16(raw) for raw in raws],
                                       pa.float16()).cast(wanted)),
    _flat(pa.bool_(), st.booleans(), bool),
    _flat(pa.string(), texts, str),
    _flat(pa.large_string(), texts, str),
    Kind(pa.string_view(), pa.string(), texts, str, lambda wanted, raws: pa.array(raws, wanted)),
    Kind(pa.dictionary(pa.int8(), pa.string()), pa.string(), texts, str,
         lambda wanted, raws: pa.array(raws, wanted)),
    _flat(pa.binary(), st.binary(max_size=9), lambda raw: base64.b64encode(raw).decode()),
    _flat(pa.large_binary(), st.binary(max_size=9), lambda raw: base64.b64encode(raw).decode()),
    _decimal(5, 2), _decimal(38, 0), _decimal(38, 38), _decimal(20, 9), _decimal(76, 10),
    _moments(pa.date32(), pa.date32(),
             st.integers(-(2**31) + 2, 2**31 - 2) | st.integers(-800_000, 3_000_000),
             lambda raw: write_moment(raw, "D")),
    _moments(pa.timestamp("us"), pa.timestamp("us"), st.integers(-(2**63) + 2, 2**63 - 2)
             | st.integers(-(10**16), 10**16), lambda raw: write_moment(raw, "us")),
    _moments(pa.timestamp("us", "Europe/Berlin"), pa.timestamp("us", "UTC"),
             st.integers(-(2**63) + 2, 2**63 - 2) | st.integers(-(10**9), 10**9).map(lambda one: one * 10**6),
             lambda raw: write_moment(raw, "us", "+00:00")),
    _moments(pa.timestamp("ns"), pa.timestamp("ns"), st.integers(-(2**63) + 2, 2**63 - 2)
             | st.integers(-(10**15), 10**15).map(lambda one: one * 1000),
             lambda raw: write_moment(raw, "ns")),
    _moments(pa.timestamp("ms"), pa.timestamp("us"), st.integers(-(10**15), 10**15),
             lambda raw: write_moment(raw, "ms"), factor=1000),
    _moments(pa.timestamp("s", "UTC"), pa.timestamp("us", "UTC"), st.integers(-(10**12), 10**12),
             lambda raw: write_moment(raw, "s", "+00:00"), factor=1_000_000),
    _moments(pa.time64("us"), pa.time64("us"), st.integers(0, DAY // 1000),
             lambda raw: _write_time(raw * 1000)),
    _moments(pa.time64("ns"), pa.time64("ns"), st.integers(0, DAY), _write_time),
    _moments(pa.time32("s"), pa.time64("us"), st.integers(0, 86_399),
             lambda raw: _write_time(raw * 1_000_000_000), factor=1_000_000),
    Kind(pa.month_day_nano_interval(), pa.month_day_nano_interval(),
         st.tuples(st.integers(-(2**31), 2**31 - 1), st.integers(-(2**31), 2**31 - 1),
                   st.integers(-(2**63), 2**63 - 1)),
         _tell_interval, _build_intervals),
    Kind(pa.json_(), pa.json_(), documents, Document, _build_documents),
)  # fmt: skip


def make_list(inner: Kind) -> Kind:
    """A list of any kind."""

    def build(wanted: pa.DataType, raws: list[Any]) -> pa.Array:
        offsets = [0]
        flat: list[Any] = []
        for raw in raws:
            flat += raw or []
            offsets.append(len(flat))
        mask = pa.array([raw is None for raw in raws], pa.bool_())
        is_large = pa.types.is_large_list(wanted)
        kind = pa.LargeListArray if is_large else pa.ListArray
        ends = pa.array(offsets, pa.int64() if is_large else pa.int32())
        return kind.from_arrays(ends, inner.build(wanted.value_type, flat), type=wanted, mask=mask)

    return Kind(
        pa.list_(inner.source),
        pa.list_(inner.final),
        st.lists(inner.any_value, max_size=3),
        lambda raw: [None if one is None else inner.tell(one) for one in raw],
        build,
    )


def make_struct(first: Kind, second: Kind) -> Kind:
    """A struct of two fields, one of which needs escaping."""
    names = ["a", 'b "']

    def build(wanted: pa.DataType, raws: list[Any]) -> pa.Array:
        parts = [
            kind.build(field.type, [None if raw is None else raw[at] for raw in raws])
            for at, (kind, field) in enumerate(zip((first, second), wanted, strict=True))
        ]
        mask = pa.array([raw is None for raw in raws], pa.bool_())
        return pa.StructArray.from_arrays(parts, fields=list(wanted), mask=mask)

    def tell(raw: tuple[Any, Any]) -> dict[str, Any]:
        pairs = zip(names, (first, second), raw, strict=True)
        return {name: None if one is None else kind.tell(one) for name, kind, one in pairs}

    return Kind(
        pa.struct(list(zip(names, (first.source, second.source), strict=True))),
        pa.struct(list(zip(names, (first.final, second.final), strict=True))),
        st.tuples(first.any_value, second.any_value),
        tell,
        build,
    )


def make_map(inner: Kind) -> Kind:
    """A map of texts to any kind."""

    def build(wanted: pa.DataType, raws: list[Any]) -> pa.Array:
        offsets = [0]
        pairs: list[tuple[str, Any]] = []
        for raw in raws:
            pairs += list((raw or {}).items())
            offsets.append(len(pairs))
        mask = pa.array([raw is None for raw in raws], pa.bool_())
        return pa.MapArray.from_arrays(
            pa.array(offsets, pa.int32()),
            pa.array([key for key, _ in pairs], pa.string()),
            inner.build(wanted.item_type, [one for _, one in pairs]),
            type=wanted,
            mask=mask,
        )

    return Kind(
        pa.map_(pa.string(), inner.source),
        pa.map_(pa.string(), inner.final),
        st.dictionaries(texts, inner.any_value, max_size=3),
        lambda raw: {key: None if one is None else inner.tell(one) for key, one in raw.items()},
        build,
    )


def make_union(first: Kind, second: Kind) -> Kind:
    """A union of two members; it has no null of its own."""

    def build(wanted: pa.DataType, raws: list[Any]) -> pa.Array:
        chosen = [(0, None) if raw is None else raw for raw in raws]
        members = [
            kind.build(field.type, [one if number == at else None for at, one in chosen])
            for number, (kind, field) in enumerate(zip((first, second), wanted, strict=True))
        ]
        codes = pa.array([at for at, _ in chosen], pa.int8())
        return pa.UnionArray.from_sparse(codes, members, ["x", "y"])

    def tell(raw: tuple[int, Any]) -> dict[str, Any]:
        at, one = raw
        return {"xy"[at]: None if one is None else (first, second)[at].tell(one)}

    def choose(kind: Callable[[Kind], pa.DataType]) -> pa.DataType:
        return pa.sparse_union([pa.field("x", kind(first)), pa.field("y", kind(second))])

    values = st.tuples(st.just(0), first.any_value) | st.tuples(st.just(1), second.any_value)
    return Kind(choose(lambda kind: kind.source), choose(lambda kind: kind.final), values, tell, build)


def _nest(inner: st.SearchStrategy[Kind]) -> st.SearchStrategy[Kind]:
    return (
        inner.map(make_list)
        | inner.map(make_map)
        | st.builds(make_struct, inner, inner)
        | st.builds(make_union, inner, inner)
    )


kinds: st.SearchStrategy[Kind] = st.recursive(st.sampled_from(FLAT), _nest, max_leaves=3)
