"""
The JSON form and the text form of a result's values.

This module has the rules for single Python values: in templates, mails, tables and charts. The
encoders of whole columns (``json_rows``, ``csv_rows``) are faster implementations of the same rules, and are
tested against these.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from airflow_provider_pushmetrics.iso8601 import write_duration
from airflow_provider_pushmetrics.serving.json_bodies import build_decoder

SURROGATES = re.compile("[\ud800-\udfff]")
"""Lone surrogates, which JSON can escape and UTF-8 cannot encode."""

MAX_INTEGER_DIGITS = 4000
"""Python's limit for conversions between texts and integers; a Decimal has no such limit."""

MAX_ZEROS = 1000
"""A JSON document may contain ``1e999999999``; a number that needs more zeros keeps its exponent."""

POSITIONAL_EXPONENTS = range(-6, 16)
"""Floats of these powers of ten are written without an exponent."""


def write_json(value: Any) -> str:
    """
    Write a value as JSON, without spaces. Never fails.

    :return: Numbers with all their digits; NaN and infinity are ``null``; bytes are base64.
    """
    match value:
        case None:
            return "null"
        case float() if not math.isfinite(value):
            return "null"
        case Decimal() if not value.is_finite():
            return "null"
        case bool() | int() | float() | Decimal():
            return write_text(value)
        case str():
            return write_string(value)
        case Mapping():
            members = (f"{write_string(write_key(key))}:{write_json(one)}" for key, one in value.items())
            return "{" + ",".join(members) + "}"
        case pa.MonthDayNano():
            return write_string(write_text(value))
        case list() | tuple():
            return "[" + ",".join(write_json(one) for one in value) + "]"
        case _:
            return write_string(write_text(value))


def write_text(value: Any) -> str:
    """
    Write a value as readable text: in CSV, in tables of mails, on pages and in templates.

    :return: The empty text for None; ``NaN`` and ``Infinity``; ISO 8601 for dates, times and durations;
        base64 for bytes; JSON for lists and mappings.
    """
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return SURROGATES.sub("\ufffd", value)
        case int():
            return _write_integer(value)
        case float():
            return write_float(value)
        case Decimal():
            return _write_decimal(value)
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return write_duration(0, 0, value // timedelta(microseconds=1) * 1000)
        case pa.MonthDayNano():
            return write_duration(value.months, value.days, value.nanoseconds)
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(value).decode("ascii")
        case Mapping() | list() | tuple():
            return write_json(value)
        case _:
            return SURROGATES.sub("\ufffd", str(value))


def write_string(text: str) -> str:
    """Write a JSON string; only characters that JSON or UTF-8 does not allow are escaped."""
    written = json.dumps(text, ensure_ascii=False)
    return SURROGATES.sub(lambda match: f"\\u{ord(match[0]):04x}", written)


def write_key(key: Any) -> str:
    """Write a key of a map as a name in a JSON object."""
    return "null" if key is None else write_text(key)


def write_float(value: float) -> str:
    """Write the shortest digits that read back to a number: ``0.1``, ``3``, ``1e+16``, ``-Infinity``."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return lay_out_float(repr(value))


def lay_out_float(digits: str) -> str:
    """Write a finite float, given in any notation, without superfluous zeros."""
    sign, numerals, exponent = Decimal(digits).as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, numerals)).rstrip("0")
    exponent += len(numerals) - len(text)
    minus = "-" if sign else ""
    if not text:
        return f"{minus}0"
    power = exponent + len(text) - 1
    if power not in POSITIONAL_EXPONENTS:
        mantissa = text[0] + (f".{text[1:]}" if len(text) > 1 else "")
        return f"{minus}{mantissa}e{power:+d}"
    if exponent >= 0:
        return minus + text + "0" * exponent
    if power >= 0:
        return f"{minus}{text[: power + 1]}.{text[power + 1 :]}"
    return f"{minus}0.{'0' * (-power - 1)}{text}"


def parse_json(text: str) -> Any:
    """
    Parse JSON without losing digits.

    :return: Whole numbers as int, others as Decimal; a number too large for either stays text.
    :raises ValueError: if it is not JSON, or nested too deeply.
    """
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None


def _write_integer(value: int) -> str:
    return str(value) if value.bit_length() < 3 * MAX_INTEGER_DIGITS else format(Decimal(value), "f")


def _write_decimal(value: Decimal) -> str:
    if value.is_finite():
        return format(value, "f") if abs(value.adjusted()) <= MAX_ZEROS else str(value)
    return write_float(float("nan") if value.is_nan() else float(value))


def _parse_whole(digits: str) -> int | Decimal:
    return int(digits) if len(digits) <= MAX_INTEGER_DIGITS else Decimal(digits)


def _parse_number(digits: str) -> Decimal | str:
    try:
        value = Decimal(digits)
    except InvalidOperation:
        return digits
    return value if value.is_finite() else digits


_DECODER = build_decoder(parse_int=_parse_whole, parse_float=_parse_number)
