"""Warnings about the references of a report's blocks, which is saved all the same."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_provider_pushmetrics.service.models import Report
from airflow_provider_pushmetrics.service.reports.block_graph import (
    MissingReferences,
    find_missing_references,
    find_varying_choices,
    plan_block,
)


def list_warnings(report: Report) -> list[str]:
    """List references of blocks to missing names: runs fail for them."""
    blocks = [plan_block(block) for block in report.blocks]
    missing, varying = find_missing_references(blocks), find_varying_choices(blocks)
    return [
        *(f"block {name!r}: {one}" for name, found in missing.items() for one in _describe(found)),
        *(
            f"block {name!r}: the query of its choices uses {', '.join(map(repr, used))}: the choices are"
            " those of its last run, with the values of that run"
            for name, used in varying.items()
        ),
    ]


def _describe(missing: MissingReferences) -> Iterator[str]:
    for name in sorted(missing.queries):
        yield f"there is no query {name!r} in the report: its runs fail until there is one"
    if missing.names:
        yield (
            f"no block of the report is called {', '.join(map(repr, sorted(missing.names)))}: runs fail"
            " unless a trigger gives a value, or the template has a default"
        )
