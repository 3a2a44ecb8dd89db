"""The types of Parameter blocks: what a run may be given, and which Python value its templates see."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError

ANY = "any"
TEXT = "text"

TRUE_WORDS = frozenset({"true", "t", "yes", "y", "on", "1"})
FALSE_WORDS = frozenset({"false", "f", "no", "n", "off", "0"})

MAX_DIGITS = 1000
MAX_CHOICES = 1000
MAX_SHOWN = 100


class ParameterValueError(PushMetricsParameterError):
    """A parameter's value is not what its block says."""


@dataclass(frozen=True)
class Parameter:
    """
    A Parameter block.

    :param kind: ``any`` or one of ``CONVERSIONS``.
    :param is_multiple: Whether its value is a list of that.
    :param choices: The values that it may have; None if it may have any.
    """

    name: str
    kind: str = ANY
    is_multiple: bool = False
    is_required: bool = False
    default: Any = None
    choices: tuple[Any, ...] | None = None

    @classmethod
    def read(cls, name: str, content: Mapping[str, Any]) -> Parameter:
        """Read a parameter from the content of its block."""
        choices = content.get("choices")
        return cls(
            name,
            content.get("type", ANY),
            content.get("multiple", False),
            content.get("required", False),
            content.get("default"),
            tuple(choices) if isinstance(choices, list) else None,
        )

    def convert(self, value: Any) -> Any:
        """
        Turn a value into what templates see; in a URL everything is text.

        :raises ParameterValueError: if it is missing, of another type, or none of the choices.
        """
        value = self._split(value)
        if value is None or value == []:
            if self.is_required:
                raise ParameterValueError(f"parameter {self.name!r} is required: give it a value.")
            return value
        if self.is_multiple:
            return [self._convert_one(one) for one in value]
        return self._convert_one(value)

    def _split(self, value: Any) -> Any:
        """Read an empty text as a null, and make a list of what is to be one."""
        if (
            isinstance(value, str)
            and not value.strip()
            and (self.is_multiple or self.kind not in (ANY, TEXT))
        ):
            return None
        if not self.is_multiple or value is None or isinstance(value, list):
            return value
        return _read_list(value) if isinstance(value, str) else [value]

    def _convert_one(self, value: Any) -> Any:
        converted = value if self.kind == ANY else self._convert_kind(value)
        if self.choices is not None and converted not in self._list_choices():
            shown = ", ".join(map(repr, self.choices[:10])) + (", …" if len(self.choices) > 10 else "")
            raise ParameterValueError(
                f"parameter {self.name!r} is {_show(value)}: it must be one of {shown}."
            )
        return converted

    def _convert_kind(self, value: Any) -> Any:
        try:
            return CONVERSIONS[self.kind](value)
        except (KeyError, TypeError, ValueError, ArithmeticError):
            raise ParameterValueError(
                f"parameter {self.name!r} is {_show(value)}, which is no {self.kind}."
            ) from None

    def _list_choices(self) -> list[Any]:
        return [
            choice if self.kind == ANY or choice is None else self._convert_kind(choice)
            for choice in self.choices or ()
        ]

    def check(self) -> None:
        """
        Make sure that the block itself is right.

        :raises ParameterValueError: if a choice or the default is not of its type.
        """
        self._list_choices()
        if self.default is not None:
            self.convert(self.default)


def apply_parameters(parameters: Iterable[Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """
    Fill in the defaults, and make sure that each value is what its block says, before there is a run.

    :raises ParameterValueError: for the first that is not.
    """
    parameters = list(parameters)
    applied = {**{one.name: one.default for one in parameters}, **given}
    for parameter in parameters:
        parameter.convert(applied[parameter.name])
    return applied


def _read_list(text: str) -> list[Any]:
    """Read a list from a text: as JSON, or its parts between commas."""
    if text.lstrip().startswith("["):
        try:
            read = json.loads(text)
        except (ValueError, RecursionError):
            read = None
        if isinstance(read, list):
            return read
    return [part.strip() for part in text.split(",")]


def _convert_text(value: Any) -> str:
    if isinstance(value, dict | list):
        raise TypeError
    return value if isinstance(value, str) else json.dumps(value)


def _convert_integer(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise TypeError
    return int(value)


def _convert_number(value: Any) -> int | Decimal:
    """Convert a number exactly: a whole one to an integer, others to decimals of the same digits."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError
        return int(value) if value.is_integer() else Decimal(repr(value))
    try:
        return int(value)
    except ValueError:
        number = Decimal(value)
    if (
        not number.is_finite()
        or abs(number.adjusted()) > MAX_DIGITS
        or len(number.as_tuple().digits) > MAX_DIGITS
    ):
        raise InvalidOperation
    return number


def _convert_boolean(value: Any) -> bool:
    word = str(value).strip().lower()
    if word not in TRUE_WORDS | FALSE_WORDS:
        raise ValueError
    return word in TRUE_WORDS


def _convert_date(value: Any) -> date:
    return date.fromisoformat(value.strip() if isinstance(value, str) else value)


def _convert_timestamp(value: Any) -> datetime:
    return datetime.fromisoformat(value.strip() if isinstance(value, str) else value)


CONVERSIONS: Mapping[str, Callable[[Any], Any]] = {
    TEXT: _convert_text,
    "integer": _convert_integer,
    "number": _convert_number,
    "boolean": _convert_boolean,
    "date": _convert_date,
    "timestamp": _convert_timestamp,
}


def _show(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= MAX_SHOWN else shown[:MAX_SHOWN] + "…"
