"""Conversion of a column from the batches of a driver to the batches that are stored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_pushmetrics.service.datasources.base import SourceError

MAX_INTERVAL_HOURS = 2_562_046
"""The hours of the longest interval of Arrow, which has 64 bits of nanoseconds."""


def quote(name: str) -> str:
    """Quote a name by the rules of standard SQL, as in DuckDB and PostgreSQL."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Quote a text by the rules of standard SQL."""
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True)
class RowRange:
    """
    A range of rows of a result, for messages.

    :param first: The number of the first row, counted from 1.
    :param last: The number of the last row.
    """

    first: int
    last: int

    def __str__(self) -> str:
        return f"rows {self.first:,} to {self.last:,}" if self.first != self.last else f"row {self.first:,}"

    def at(self, index: int) -> RowRange:
        """Get the row at an index of this range."""
        return RowRange(self.first + index, self.first + index)


class Conversion(ABC):
    """
    Converts the values of one column to the type in which they are stored.

    :param name: The name of the column.
    """

    is_deferred = False
    """Whether the type depends on the values of the whole column, all of which are then read first."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    @abstractmethod
    def type(self) -> pa.DataType:
        """The type; for a deferred conversion, after all values were observed."""

    def observe(self, values: pa.Array) -> None:  # noqa: B027  (most types do not depend on values)
        """Take the values of one batch into account, if the type depends on them."""

    @abstractmethod
    def convert(self, values: pa.Array, rows: RowRange) -> pa.Array:
        """
        Convert the values of one batch.

        :param rows: The rows of the batch, for messages.
        :raises SourceError: if a value cannot be stored as it is.
        """

    def build_error(self, rows: RowRange, problem: str) -> SourceError:
        """Build the error of values that cannot be stored."""
        return SourceError(f"column {self.name!r}, {rows}: {problem}")


class FixedType(Conversion):
    """
    A conversion whose type is known before any value.

    :param type_: The type.
    """

    def __init__(self, name: str, type_: pa.DataType) -> None:
        super().__init__(name)
        self._type = type_

    @property
    def type(self) -> pa.DataType:
        return self._type


class Unchanged(FixedType):
    """Values that the driver returns in the type in which they are stored."""

    def convert(self, values: pa.Array, rows: RowRange) -> pa.Array:
        """Return the values unchanged."""
        return values


class LimitedText(FixedType):
    """
    Text, JSON or bytes with a maximum size of a value.

    The query truncates longer values to one character more than the limit, which keeps them out of memory.

    :param type_: The type: text, binary, or JSON.
    :param max_bytes: The limit.
    """

    def __init__(self, name: str, type_: pa.DataType, max_bytes: int) -> None:
        super().__init__(name, type_)
        self._max_bytes = max_bytes

    def convert(self, values: pa.Array, rows: RowRange) -> pa.Array:
        """Refuse values that are too large."""
        refuse_large(self, values, rows, self._max_bytes)
        if isinstance(self._type, pa.BaseExtensionType):
            return pa.ExtensionArray.from_storage(self._type, values.cast(self._type.storage_type))
        return values if values.type == self._type else values.cast(self._type)


class Parsed(FixedType):
    """
    Values that the driver returns as text, and that are parsed.

    :param type_: The type.
    :param parse: Parses a batch; by default Arrow does.
    """

    def __init__(
        self, name: str, type_: pa.DataType, parse: Callable[[pa.Array], pa.Array] | None = None
    ) -> None:
        super().__init__(name, type_)
        self._parse = parse or (lambda values: values.cast(type_))

    def convert(self, values: pa.Array, rows: RowRange) -> pa.Array:
        """Parse the values; the error message contains the first invalid one."""
        try:
            return self._parse(values)
        except (pa.ArrowInvalid, ValueError, OverflowError) as error:
            index = self._find_first_bad(values)
            raise self.build_error(
                rows.at(index), f"{values[index].as_py()!r} does not fit {self._type}: cast it to text."
            ) from error

    def _find_first_bad(self, values: pa.Array) -> int:
        for index in range(len(values)):
            try:
                self._parse(values.slice(index, 1))
            except (pa.ArrowInvalid, ValueError, OverflowError):
                return index
        return 0


def refuse_large(conversion: Conversion, values: pa.Array, rows: RowRange, max_bytes: int) -> None:
    """
    Refuse a batch with a value that is too large.

    :raises SourceError: with the first such row.
    """
    if values.nbytes <= max_bytes:
        return  # their total is less than the limit of one value
    lengths = pc.binary_length(values)
    if (pc.max(lengths).as_py() or 0) > max_bytes:
        index = pc.index(pc.greater(lengths, max_bytes), True).as_py()
        raise conversion.build_error(rows.at(index), write_too_large(max_bytes))


def write_too_large(max_bytes: int) -> str:
    """Write the error message of a value that is too large."""
    return f"the value has more than {max_bytes:,} bytes, the limit for one value: select a part of it."


def unwrap(values: pa.Array) -> pa.Array:
    """Get the storage of an extension type."""
    return values.storage if isinstance(values, pa.ExtensionArray) else values
