"""The values that PushMetrics accepts for a Parameter block, and those that it refuses, as one table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "parameter_values.json"


@dataclass(frozen=True)
class ParameterValue:
    """
    A value that a run is given.

    :param kind: The type of the Parameter block.
    """

    kind: str
    value: Any
    is_multiple: bool
    is_required: bool

    def __str__(self) -> str:
        """Write what a test's id is made of."""
        flags = f"{' list' if self.is_multiple else ''}{' required' if self.is_required else ''}"
        return f"{self.kind}{flags} {self.value!r}"


def read_values(name: str) -> list[ParameterValue]:
    """Read the values that are ``accepted``, or ``refused``."""
    return [
        ParameterValue(one["type"], one["value"], one.get("multiple", False), one.get("required", False))
        for one in json.loads(VECTORS.read_text("utf-8"))[name]
    ]


ACCEPTED_VALUES = read_values("accepted")
REFUSED_VALUES = read_values("refused")
