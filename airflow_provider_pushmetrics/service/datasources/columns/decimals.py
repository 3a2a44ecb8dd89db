"""Decimals, which the driver returns as text."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_pushmetrics.service.datasources.columns.base import Conversion, Parsed, RowRange

DECIMAL128_DIGITS = 38
DECIMAL256_DIGITS = 76

SPECIAL_NUMBERS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
"""NaN and infinity as the driver writes them, and as PostgreSQL prints them."""


def build_decimal_type(precision: int, scale: int) -> pa.DataType | None:
    """
    Find the smallest decimal type with a precision and a scale.

    :return: None if there is none; such numbers are stored as text.
    """
    if scale < 0:
        precision, scale = precision - scale, 0
    precision = max(precision, scale, 1)
    if precision <= DECIMAL128_DIGITS:
        return pa.decimal128(precision, scale)
    return pa.decimal256(precision, scale) if precision <= DECIMAL256_DIGITS else None


class DeclaredDecimal(Parsed):
    """A decimal with a declared precision. NaN is refused, as decimals do not support it."""


class AnyDecimal(Conversion):
    """
    A decimal without a declared precision: the type is the smallest that represents all values exactly.

    It has 38 digits, or 76 if necessary. It is text if that is not enough, or if a value is not a number.
    """

    is_deferred = True

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._whole_digits = 0
        self._scale = 0
        self._has_special = False

    @property
    def type(self) -> pa.DataType:
        """The smallest type for the observed values."""
        digits = self._whole_digits + self._scale
        if self._has_special or digits > DECIMAL256_DIGITS:
            return pa.string()
        if digits > DECIMAL128_DIGITS:
            return pa.decimal256(DECIMAL256_DIGITS, self._scale)
        return pa.decimal128(DECIMAL128_DIGITS, self._scale)

    def observe(self, values: pa.Array) -> None:
        """Measure the digits."""
        values = values.drop_null()
        special = pc.match_substring(values, "n")
        if pc.any(special).as_py():
            self._has_special = True
            values = values.filter(pc.invert(special))
        if len(values) == 0:
            return
        digits = pc.utf8_ltrim(values, "-")
        point = pc.find_substring(digits, ".")
        length = pc.utf8_length(digits)
        whole = pc.if_else(pc.equal(point, -1), length, point)
        scale = pc.max(pc.subtract(pc.subtract(length, whole), 1)).as_py()
        self.observe_digits(pc.max(whole).as_py(), scale)

    def observe_digits(self, whole: int, scale: int) -> None:
        """Take the digits of a value before and after the point into account."""
        self._whole_digits = max(self._whole_digits, whole)
        self._scale = max(self._scale, scale)

    def observe_special(self) -> None:
        """Take a value that is not a number into account."""
        self._has_special = True

    def convert(self, values: pa.Array, rows: RowRange) -> pa.Array:
        """Convert to the type that was found."""
        if not pa.types.is_string(self.type):
            return values.cast(self.type)
        return replace_special(values)


def replace_special(values: pa.Array) -> pa.Array:
    """Write NaN and infinity, in a column of text, as PostgreSQL prints them."""
    for written, printed in SPECIAL_NUMBERS.items():
        values = pc.if_else(pc.equal(values, written), printed, values)
    return values
