"""The rule in the ``extra`` of an asset that Airflow's API server updates: which events update it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

EXTRA_KEY = "pushmetrics"


class AssetUpdateRule(BaseModel):
    """
    Which events update an asset.

    :param event: ``report.run`` or ``query.run``.
    :param report_id: The report; None for any.
    :param query_id: The query; None for any.
    :param consumer: A name for this Airflow, if several read from one inbox.
    :param one_run_per_event: Whether each event starts a separate Dag run. Before Airflow 3.4 events
        then get a partition key.
    :param only_successful: Whether only runs that are known to have succeeded update it.
    :param pushmetrics_conn_id: The connection for fetching the outcome of a run.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    event: str
    report_id: int | None = None
    query_id: int | None = None
    consumer: str = "airflow"
    one_run_per_event: bool = False
    only_successful: bool = False
    pushmetrics_conn_id: str | None = None

    @model_validator(mode="after")
    def _check_connection(self) -> Self:
        if self.only_successful and self.pushmetrics_conn_id is None:
            raise ValueError("only_successful needs pushmetrics_conn_id")
        return self


def write_rule(rule: AssetUpdateRule) -> dict[str, Any]:
    """Write the ``extra`` of an asset."""
    return {EXTRA_KEY: rule.model_dump()}


def read_rule(extra: object) -> AssetUpdateRule | None:
    """Read the ``extra`` of an asset; None if it contains no valid rule."""
    if not isinstance(extra, Mapping) or EXTRA_KEY not in extra:
        return None
    try:
        return AssetUpdateRule.model_validate(extra[EXTRA_KEY])
    except ValidationError:
        return None
