"""The values of queries and charts in the templates of a message, and which of them were used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from html import escape
from typing import Any

from airflow_provider_pushmetrics.service.charts.kept_pictures import read_pictures
from airflow_provider_pushmetrics.service.charts.pictures import PNG_SCALE
from airflow_provider_pushmetrics.service.models import Run
from airflow_provider_pushmetrics.service.notifications.tables import Extent, ResultTable, read_cells
from airflow_provider_pushmetrics.service.reports.block_graph import CHART, EMAIL, SQL, PlannedBlock
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.runs.execution.plan import ExecutedBlock, RunPlan
from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError
from airflow_provider_pushmetrics.service.templates.markup import Fragment
from airflow_provider_pushmetrics.service.templates.rendering import TemplateQuery

MAX_PICTURE_BYTES = 5 * 1024 * 1024
"""For all pictures of a mail."""


@dataclass(frozen=True)
class MessageQuery(TemplateQuery):
    """
    A query in the templates of a message: its SQL, its rows, and its rows as a table.

    :param make_table: Builds the table.
    """

    make_table: Callable[[], ResultTable]

    @property
    def table(self) -> ResultTable:
        """Its first rows as a table."""
        return self.make_table()


class ChartPicture:
    """
    A chart in the templates of a message: ``{{ chart_1 }}`` or ``{{ chart_1.picture }}``.

    :param embed_picture: Adds it to the message and returns the fragment that shows it.
    """

    def __init__(self, embed_picture: Callable[[], Fragment]) -> None:
        self._embed_picture = embed_picture

    @property
    def picture(self) -> ChartPicture:
        """The chart itself."""
        return self

    @cached_property
    def _fragment(self) -> Fragment:
        return self._embed_picture()

    def embed(self) -> Fragment:
        """Add it to the message, once."""
        return self._fragment

    def __str__(self) -> str:
        """Raise an error: a picture has no text."""
        raise BlockTemplateError("a chart is a picture: it needs a mail in the format html or markdown.")


class MessageValues:
    """
    Provides the names in the templates of one block, and records which are used.

    :param block: The block of the message.
    """

    def __init__(self, plan: RunPlan, block: PlannedBlock, results: ResultStore) -> None:
        self._plan = plan
        self._block = block
        self._results = results
        self._notes: dict[str, str] = {}
        self._picture_bytes = 0
        self.pictures: list[dict[str, Any]] = []
        """The pictures in the message, as the outbox stores them."""

    def extend(self, names: Mapping[str, Any]) -> dict[str, Any]:
        """Add tables to queries, and charts."""
        extended = dict(names)
        for block in self._plan.blocks:
            outcome = self._plan.outcomes.get(block.name)
            if block.type == SQL:
                extended[block.name] = MessageQuery(
                    block.template,
                    partial(self._load_rows, block.name, outcome),
                    partial(self._make_table, block.name, outcome),
                )
            elif block.type == CHART:
                extended[block.name] = ChartPicture(partial(self._embed_picture, block, outcome))
        return extended

    def list_notes(self) -> list[str]:
        """List the notes at the end of the message: which of its results were truncated."""
        return list(self._notes.values())

    def add_truncation_note(self, name: str, extent: Extent) -> None:
        """Add a note if a result that the message uses was truncated."""
        cut = extent.describe_cut(extent.row_count)
        if cut is not None:
            self._notes.setdefault(name, f"{name}: {cut}.")

    def _load_rows(self, name: str, outcome: ExecutedBlock | None) -> list[dict[str, Any]]:
        file, extent = _require_rows(name, outcome)
        self.add_truncation_note(name, extent)
        return self._results.read_rows(file)

    def _make_table(self, name: str, outcome: ExecutedBlock | None) -> ResultTable:
        file, extent = _require_rows(name, outcome)
        return ResultTable(partial(read_cells, self._results, file), extent)

    def _embed_picture(self, chart: PlannedBlock, outcome: ExecutedBlock | None) -> Fragment:
        if self._block.type != EMAIL:
            raise BlockTemplateError(f"the chart {chart.name!r} can only stand in a mail.")
        if outcome is None or outcome.result_file is None:
            raise LookupError(f"{chart.name!r} has not been drawn")
        picture = read_pictures(self._results, outcome.result_file).picture
        self._picture_bytes += len(picture)
        if self._picture_bytes > MAX_PICTURE_BYTES:
            raise BlockTemplateError(
                f"the pictures of the mail are larger than {MAX_PICTURE_BYTES // 1024 // 1024} MB: draw"
                " smaller charts."
            )
        query = str(chart.content.get("query"))
        drawn_of = self._plan.outcomes.get(query)
        if drawn_of is not None and drawn_of.row_count is not None:
            self.add_truncation_note(query, Extent(drawn_of.row_count, drawn_of.is_truncated))
        return self._add_picture(chart, picture)

    def _add_picture(self, chart: PlannedBlock, picture: bytes) -> Fragment:
        content_id = f"chart-{len(self.pictures) + 1}@pushmetrics"
        is_report_run = self._plan.kind is Run
        self.pictures.append(
            {
                "name": f"chart_{len(self.pictures) + 1}.png",
                "content_id": content_id,
                "block_uid": chart.uid,
                "run_id": self._plan.id if is_report_run else None,
                "query_run_id": None if is_report_run else self._plan.id,
            }
        )
        name = escape(chart.name)
        width = _read_width(picture) // PNG_SCALE
        return Fragment(
            f'<img src="cid:{content_id}" alt="{name}" width="{width}" style="max-width: 100%">',
            f"[{chart.name}]",
        )


def _require_rows(name: str, outcome: ExecutedBlock | None) -> tuple[str, Extent]:
    if outcome is None or outcome.result_file is None:
        raise LookupError(f"{name!r} has no rows")
    return outcome.result_file, Extent(outcome.row_count or 0, outcome.is_truncated)


def _read_width(picture: bytes) -> int:
    """Read the width of a PNG: https://www.w3.org/TR/png-3/#11IHDR."""
    return int.from_bytes(picture[16:20], "big")
