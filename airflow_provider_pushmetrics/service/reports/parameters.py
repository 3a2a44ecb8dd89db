"""The parameters of a run, from a URL and from a body."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.serving.json_bodies import (
    MAX_DEPTH,
    build_decoder,
    check_encodable,
    is_deeper_than,
)

TOKEN = "token"  # noqa: S105 (a name, not a secret)


def parse_json_parameters(body: bytes) -> dict[str, Any]:
    """
    Parse the parameters in a request's body; an empty body has none.

    :raises PushMetricsParameterError: if it is not a JSON object.
    """
    if not body.strip():
        return {}
    try:
        value = _DECODER.decode(body.decode("utf-8"))
        check_encodable(value)
    except (ValueError, RecursionError):
        raise PushMetricsParameterError("The body is not valid JSON") from None
    if not isinstance(value, dict):
        raise PushMetricsParameterError("The body is not a JSON object")
    if is_deeper_than(value):
        raise PushMetricsParameterError(f"The body is nested more than {MAX_DEPTH} deep")
    return value


def merge_parameters(query: Iterable[tuple[str, str]], body: Mapping[str, Any]) -> dict[str, Any]:
    """
    Merge the parameters of a URL and of a body.

    The body takes precedence, and the first of repeated names in the URL. ``token`` is the
    credential and never a parameter.
    """
    merged: dict[str, Any] = {}
    for name, value in query:
        merged.setdefault(name, value)
    merged.update(body)
    merged.pop(TOKEN, None)
    return merged


def write_fingerprint(parameters: Mapping[str, Any]) -> str:
    """Write parameters as a text for comparison, in which 1, 1.0 and true differ."""
    return json.dumps(parameters, sort_keys=True, separators=(",", ":"))


def _parse_float(text: str) -> float:
    """Parse a number that a float holds exactly; others must be sent as text."""
    value = float(text)
    if not math.isfinite(value) or Decimal(repr(value)) != Decimal(text):
        raise ValueError("a number is too large, or has too many digits")
    return value


_DECODER = build_decoder(parse_float=_parse_float)
