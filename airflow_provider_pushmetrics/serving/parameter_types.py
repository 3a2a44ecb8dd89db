"""The types of Parameter blocks: conversion of given values to the Python values of templates."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError

ANY = "any"
TEXT = "text"

TRUE_WORDS = frozenset({"true", "t", "yes", "y", "on", "1"})
FALSE_WORDS = frozenset({"false", "f", "no", "n", "off", "0"})

MAX_PARAMETER_DIGITS = 1000
MAX_CHOICES = 1000
MAX_SHOWN = 100


class ParameterValueError(PushMetricsParameterError):
    """A parameter's value is invalid."""


@dataclass(frozen=True)
class Parameter:
    """
    A Parameter block.

    :param kind: ``any`` or one of ``CONVERSIONS``.
    :param is_multiple: Whether its value is a list of that type.
    :param choices: The allowed values; None for any.
    :param choices_query: The query that provides the choices; they are set before a value is checked.
    :param choices_fault: Why the choices are unknown, so that only those that are set are accepted.
    """

    name: str
    kind: str = ANY
    is_multiple: bool = False
    is_required: bool = False
    default: Any = None
    choices: tuple[Any, ...] | None = None
    choices_query: str | None = None
    choices_fault: str | None = None

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
            str(choices.get("query")) if isinstance(choices, dict) else None,
        )

    def with_choices(self, values: Iterable[Any], fault: str | None = None) -> Parameter:
        """Set the choices from its query; the default is always one of them."""
        defaults = self.default if isinstance(self.default, list) else [self.default]
        allowed = (*values, *(one for one in defaults if one is not None))
        return replace(self, choices=allowed, choices_fault=fault)

    def convert(self, value: Any) -> Any:
        """
        Convert a value for templates; in a URL everything is text.

        :raises ParameterValueError: if it is missing, of another type, or not one of the choices.
        """
        value = self._split(value)
        if value is None or value == []:
            if self.is_required:
                raise ParameterValueError(f"parameter {self.name!r} is required: set a value.")
            return value
        find = None if self.choices is None else _ChoiceIndex(self._list_choices(), self.kind == ANY).find
        if self.is_multiple:
            return [self._convert_one(one, find) for one in value]
        return self._convert_one(value, find)

    def _split(self, value: Any) -> Any:
        """Convert an empty text to null, and a text to a list if ``is_multiple``."""
        if (
            isinstance(value, str)
            and not value.strip()
            and (self.is_multiple or self.kind not in (ANY, TEXT))
        ):
            return None
        if not self.is_multiple or value is None or isinstance(value, list):
            return value
        return _read_list(value) if isinstance(value, str) else [value]

    def _convert_one(self, value: Any, find: Callable[[Any], Any] | None) -> Any:
        converted = value if self.kind == ANY else self._convert_kind(value)
        if find is None:
            return converted
        try:
            return find(converted)
        except KeyError:
            message = f"parameter {self.name!r} is {_show(value)}: {self._describe_choices()}"
            raise ParameterValueError(message) from None

    def _describe_choices(self) -> str:
        if self.choices_fault is not None:
            return f"it must be one of its choices, which are unknown, because {self.choices_fault}."
        choices = self.choices or ()
        shown = ", ".join(map(repr, choices[:10])) + (", …" if len(choices) > 10 else "")
        source = "" if self.choices_query is None else f" (from the query {self.choices_query!r})"
        return f"it must be one of {shown}{source}." if choices else f"it has no choices{source}."

    def _convert_kind(self, value: Any) -> Any:
        try:
            return CONVERSIONS[self.kind](value)
        except (KeyError, TypeError, ValueError, ArithmeticError):
            raise ParameterValueError(
                f"parameter {self.name!r} is {_show(value)}, which is no {self.kind}."
            ) from None

    def _list_choices(self) -> Iterator[Any]:
        """List the choices in the parameter's type; choices of a query with another type are left out."""
        for choice in self.choices or ():
            try:
                yield choice if self.kind == ANY or choice is None else self._convert_kind(choice)
            except ParameterValueError:
                if self.choices_query is None:
                    raise

    def check(self) -> None:
        """
        Check the block itself.

        :raises ParameterValueError: if a choice or the default has the wrong type.
        """
        list(self._list_choices())
        if self.default is not None:
            self.convert(self.default)


def apply_parameters(parameters: Iterable[Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """
    Add the defaults, and check all values, before there is a run.

    :raises ParameterValueError: for the first invalid value.
    """
    parameters = list(parameters)
    applied = {**{one.name: one.default for one in parameters}, **given}
    for parameter in parameters:
        converted = parameter.convert(applied[parameter.name])
        if parameter.choices_query is not None and parameter.kind == ANY:
            applied[parameter.name] = converted  # the choice itself, if a URL contained its text
    return applied


class _ChoiceIndex:
    """
    Finds values among many choices. They are compared as in JSON, where true and 1 differ.

    :param finds_texts: Whether a text, such as in a URL, may be the JSON of a choice.
    """

    def __init__(self, choices: Iterable[Any], finds_texts: bool) -> None:
        self._choices = list(choices)
        self._finds_texts = finds_texts
        self._others = [one for one in self._choices if isinstance(one, dict | list)]
        simple = (one for one in reversed(self._choices) if not isinstance(one, dict | list))
        self._by_key = {_build_key(one): one for one in simple}  # the first of equal ones

    def find(self, value: Any) -> Any:
        """
        Find the choice that a value is.

        :raises KeyError: if it is none of them.
        """
        if isinstance(value, dict | list):
            if value not in self._others:
                raise KeyError
            return self._others[self._others.index(value)]
        key = _build_key(value)
        if key not in self._by_key and self._finds_texts and isinstance(value, str):
            return self._by_text[value]
        return self._by_key[key]

    @cached_property
    def _by_text(self) -> dict[str, Any]:
        return {json.dumps(one): one for one in reversed(self._choices) if not isinstance(one, str)}


def _build_key(value: Any) -> tuple[bool, Any]:
    return isinstance(value, bool), value


def _read_list(text: str) -> list[Any]:
    """Parse a list: JSON, or comma-separated values."""
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
        or abs(number.adjusted()) > MAX_PARAMETER_DIGITS
        or len(number.as_tuple().digits) > MAX_PARAMETER_DIGITS
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
    if isinstance(value, str) and NANOSECONDS.search(value):
        raise ValueError
    return datetime.fromisoformat(value.strip() if isinstance(value, str) else value)


NANOSECONDS = re.compile(r"[.,]\d{6}\d*[1-9]")
"""A fraction of a second that Python would cut."""

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
