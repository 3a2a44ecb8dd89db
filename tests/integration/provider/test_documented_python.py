"""The Python of README.md and docs/ runs: each block is executed, with the names of its page."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat import sdk

from airflow_provider_pushmetrics.assets import pushmetrics as assets
from tests.fakes.airflow_versions import AIRFLOW_VERSION, needs_airflow
from tests.fakes.pushmetrics import FakePushMetrics
from tests.integration.provider.conftest import Connect
from tests.integration.provider.test_triggers import open_events, take

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"(?:<!-- (?P<mark>[^>]*) -->\n)?```python\n(?P<code>.*?)```", re.S)

NEEDS = {
    "approval": (3, 1),
    "assets-without-receiver": (3, 0),
    "deadline-alert": (3, 1),
    "look-at-a-run": (3, 1),
}
"""The Airflow that a whole page needs."""

IMPORTS = """
from airflow.providers.common.compat.sdk import DAG, Param, task, AirflowFailException
from airflow_provider_pushmetrics.assets.uris import create_asset
from airflow_provider_pushmetrics.hooks.async_client import PushMetricsAsyncClient
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.notifications.pushmetrics import PushMetricsNotifier
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor
from airflow_provider_pushmetrics.transfers.pushmetrics import PushMetricsToObjectStorageOperator
"""
NEWER_IMPORTS = {
    (3, 0): "from airflow_provider_pushmetrics.assets.pushmetrics import build_run_asset",
    (3, 1): """
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import get_current_context
from airflow.sdk.definitions.deadline import AsyncCallback, DeadlineAlert, DeadlineReference
""",
    (3, 3): "from airflow.sdk import PartitionedAssetTimetable",
}
"""What the pages name in their text, by the Airflow that has it."""


@dataclass(frozen=True)
class Block:
    """A block of Python of a page, and its first line there."""

    page: Path
    line: int
    mark: str
    code: str

    @property
    def needs(self) -> tuple[int, int]:
        """The Airflow that it needs."""
        if (
            "PartitionedAssetTimetable" in self.code
            or "partition_by" in self.code
            or "RetryPolicy" in self.code
        ):
            return (3, 3)
        if 'updated_by="api_server"' in self.code:
            return (3, 1)
        uses_watchers = any(name in self.code for name in ("build_run_asset", "_ran]", "airflow.sdk"))
        return max(NEEDS.get(self.page.stem, (2, 11)), (3, 0) if uses_watchers else (2, 11))


def find_blocks() -> Iterator[Block]:
    """Find all blocks but the files that tests/integration/testing runs."""
    for page in PAGES:
        text = page.read_text("utf-8")
        for found in BLOCK.finditer(text):
            mark = found["mark"] or ""
            if not mark.startswith("file: "):
                yield Block(page, text.count("\n", 0, found.start("code")) + 1, mark, found["code"])


BLOCKS = list(find_blocks())


@pytest.fixture
def names(tmp_path: Path) -> dict[str, Any]:
    """What the pages name: imports, and the constants of the example Dags."""
    known: dict[str, Any] = {"__doc__": "", "asyncio": asyncio, "datetime": datetime, "timedelta": timedelta}
    known |= {"Any": Any, "log": logging.getLogger(__name__), "RETRIES": {}, "CONN_ID": "pushmetrics_default"}
    known |= {"OUTPUT": str(tmp_path), "REPORT_ID": 1, "AT_ONCE": 10, "FIRST_POLL_SECONDS": 0.5}
    known |= {"POLL_SECONDS": 5.0, "LIMIT_SECONDS": 9.0, "SECONDS": 5}
    for version, code in {(2, 11): IMPORTS, **NEWER_IMPORTS}.items():
        if version <= AIRFLOW_VERSION:
            exec(code, known)
    return known


def test_there_are_blocks_to_run() -> None:
    assert len(BLOCKS) > 20
    assert ROOT / "README.md" in {block.page for block in BLOCKS}


@pytest.mark.parametrize("page", sorted({block.page for block in BLOCKS}), ids=lambda page: page.stem)
def test_python_of_a_page_runs(page: Path, names: dict[str, Any], connect_whole: Connect) -> None:
    """In order, since a block may use what an earlier one of its page defines."""
    connect_whole()
    blocks = [block for block in BLOCKS if block.page == page]
    runnable = [block for block in blocks if block.needs <= AIRFLOW_VERSION]
    for block in runnable:
        run_block(block, names)
    if not runnable:
        pytest.skip(f"all of it is for Airflow {blocks[0].needs} and later")


def run_block(block: Block, names: dict[str, Any]) -> None:
    """Run a block; one that shows a part of a Dag in a Dag, with the tasks and assets that it names."""
    code = compile(block.code, f"{block.page}:{block.line}", "exec", dont_inherit=True)
    with ExitStack() as opened:
        if "with DAG(" not in block.code:
            start = datetime(2026, 1, 1, tzinfo=UTC)
            opened.enter_context(sdk.DAG(f"line_{block.line}", schedule=None, start_date=start))
        if "run_report.output" in block.code and "run_report =" not in block.code:
            operator = names["PushMetricsTriggerReportOperator"]
            names["run_report"] = operator(task_id="run_report", report_id=1)
        for asset in re.findall(r"schedule=\[(\w+)\]", block.code):
            names.setdefault(asset, assets.build_run_asset(asset))
        exec(code, names)


@needs_airflow("3.0")
async def test_watcher_begins_later_by_the_script_of_the_docs(
    names: dict[str, Any], pushmetrics: FakePushMetrics, connect_whole: Connect
) -> None:
    connect_whole()
    pushmetrics.start_run()
    (script,) = [block.code for block in BLOCKS if "feed.store_position" in block.code]
    await asyncio.to_thread(exec, script, names)
    pushmetrics.start_run()
    async with open_events(names["asset"].watchers[0].trigger) as events:
        assert await take(events, 1) == [2]
