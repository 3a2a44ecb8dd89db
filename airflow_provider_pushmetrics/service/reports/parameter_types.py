"""The types of Parameter blocks; ``pushmetrics dag check`` needs them too, without the service."""

from __future__ import annotations

from airflow_provider_pushmetrics.serving.parameter_types import (
    CONVERSIONS,
    MAX_CHOICES,
    Parameter,
    ParameterValueError,
    apply_parameters,
)

__all__ = ["CONVERSIONS", "MAX_CHOICES", "Parameter", "ParameterValueError", "apply_parameters"]
