"""Limits of rendering one template: steps, time and sizes. Templates are not trusted."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, ItemsView, Iterable, KeysView, Mapping, ValuesView
from string import Formatter
from typing import Any

from airflow_provider_pushmetrics.exceptions import PushMetricsError

MAX_SOURCE_LENGTH = 200_000
MAX_LEVELS = 150
"""The nesting depth of a template; the compiler recurses a few times for each level."""

MAX_STEPS = 500_000
RENDER_SECONDS = 5.0
"""CPU time, since a busy machine must not fail a template."""
MAX_OUTPUT = 10_000_000
MAX_WEIGHT = 5_000_000
MAX_GROWTH = 50_000_000
MAX_BITS = 4096
MAX_WIDTH = 1000
PARTS_PER_STEP = 8
CHARACTERS_PER_WEIGHT = 16

CONTAINERS = (list, tuple, set, frozenset, dict, KeysView, ValuesView, ItemsView)

PERCENT_WIDTH = re.compile(r"%(?:\([^()]*\))?[#0\- +]*(\*|\d*)(?:\.(\*|\d*))?")
NESTED_KEY = re.compile(r"%\([^()]*\(")
LONG_NUMBER = re.compile(r"\d{4}")


class BlockTemplateError(PushMetricsError):
    """A block's template cannot be rendered."""


class Budget:
    """
    Counts the steps, time and sizes of one rendering, and ends it at a limit.

    No single step takes long, since no value is larger than ``MAX_WEIGHT``. The clock is read at each step,
    which bounds the whole. Every method raises :class:`BlockTemplateError` at its limit.

    :param clock: The CPU time of this thread.
    """

    def __init__(self, clock: Callable[[], float] = time.thread_time) -> None:
        self._clock = clock
        self._deadline = clock() + RENDER_SECONDS
        self._steps = 0
        self._written = 0
        # The value is kept too: the id of a deleted object can be used again.
        self._weighed: dict[int, tuple[Any, int]] = {}

    def step(self, count: int = 1) -> bool:
        """Count steps and read the clock; True, as compiled templates call it in conditions."""
        self._steps += count
        if self._steps > MAX_STEPS:
            raise BlockTemplateError(f"the template needs more than {MAX_STEPS} steps: do this in a query.")
        if self._clock() > self._deadline:
            raise BlockTemplateError(
                f"the template takes longer than {RENDER_SECONDS:g} s: do this in a query."
            )
        return True

    def write(self, characters: int) -> bool:
        """Count the characters that the template writes."""
        self._written += characters + 1
        if self._written > MAX_OUTPUT:
            raise BlockTemplateError(f"the template writes more than {MAX_OUTPUT} characters: write less.")
        return True

    def weigh(self, value: Any) -> int:
        """Measure a value with its items; an item that occurs twice counts twice."""
        if isinstance(value, str | bytes):
            return self.accept(1 + len(value) // CHARACTERS_PER_WEIGHT)
        if isinstance(value, int):
            if value.bit_length() > MAX_BITS:
                raise BlockTemplateError(f"the template creates a number of more than {MAX_BITS} bits.")
            return 1
        if isinstance(value, range):
            return self.accept(1 + len(value))
        if not isinstance(value, CONTAINERS):
            return 1
        if id(value) not in self._weighed:
            self._weighed[id(value)] = value, self._weigh_parts(value)
        return self._weighed[id(value)][1]

    def _weigh_parts(self, value: Iterable[Any]) -> int:
        weight, count = 1, 0
        for part in value:
            pair = (part, value[part]) if isinstance(value, Mapping) else (part,)
            for one in pair:
                weight += self.weigh(one)
            count += len(pair)
            self.accept(weight)
        self.step(count // PARTS_PER_STEP)
        return weight

    def accept(self, weight: int) -> int:
        """Check and return the weight of a value."""
        if weight > MAX_WEIGHT:
            raise BlockTemplateError("the template creates a value that is too large: do this in a query.")
        return weight


def check_width(value: Any) -> None:
    """
    Check a width or a count that a template requests.

    :raises BlockTemplateError: if it is more than the maximum.
    """
    if isinstance(value, int) and abs(value) > MAX_WIDTH:
        raise BlockTemplateError(
            f"the template requests the width {value!r:.20}: the maximum is {MAX_WIDTH}."
        )


def check_growth(size: int, factor: int) -> None:
    """
    Check the size of a result before it is created.

    :raises BlockTemplateError: if it is more than the maximum.
    """
    if size * factor > MAX_GROWTH:
        raise BlockTemplateError("the template creates a value that is too large: do this in a query.")


def check_percent_format(text: str | bytes, weight: int) -> None:
    """
    Check a format with ``%``.

    :param weight: The weight of its arguments.
    :raises BlockTemplateError: if its widths have no limit.
    """
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    found = [width for match in PERCENT_WIDTH.finditer(text) for width in match.groups() if width]
    if NESTED_KEY.search(text) or any(width == "*" or len(width) > 3 for width in found):
        raise BlockTemplateError("the template's format has a width of more than 3 digits, or '*'.")
    check_growth(text.count("%"), weight * CHARACTERS_PER_WEIGHT)


def check_brace_format(text: str, weight: int) -> None:
    """
    Check a format of ``str.format``.

    :param weight: The weight of its arguments.
    :raises BlockTemplateError: if its widths have no limit.
    """
    specs = [spec or "" for _, field, spec, _ in Formatter().parse(text) if field is not None]
    if any("{" in spec or LONG_NUMBER.search(spec) for spec in specs):
        raise BlockTemplateError(
            "the template's format has a width of more than 3 digits, or one from a value."
        )
    check_growth(len(specs), weight * CHARACTERS_PER_WEIGHT)
