"""OpenLineage: reports and queries as datasets, the files made from them, and the run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_pushmetrics.assets.uris import ReportUri
from airflow_provider_pushmetrics.event_ids import find_result_ids, read_event_ids

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

STORAGE_URL = re.compile(r"([a-z][a-z0-9+.-]*)://([^/]*)(.*)", re.DOTALL)


@dataclass(frozen=True)
class SavedFile:
    """A query's result, and the file made from it."""

    query_result: str
    path: str
    rows: int | None
    size: int


def build_run_lineage(
    base_url: str, report_id: str | int, run: Mapping[str, Any] | None = None
) -> OperatorLineage[Any, Any]:
    """
    Describe a task that runs a report: the report is the input, the results of its queries are the outputs.

    :param run: The return value of the task; None if there is none.
    """
    from airflow.providers.openlineage.extractors import OperatorLineage

    known, authority, report = run or {}, _find_authority(base_url), str(report_id)
    outputs = [
        _build_output(ReportUri(authority, report, str(query["query_id"])), query.get("row_count"))
        for query in known.get("queries") or ()
    ]
    return OperatorLineage(
        inputs=[_build_dataset(ReportUri(authority, report))],
        outputs=outputs,
        run_facets=_name_runs(base_url, [known.get("run_id")]),
    )


def build_event_lineage(base_url: str, body: Mapping[str, Any] | None) -> OperatorLineage[Any, Any]:
    """
    Describe a task that waited for an event: its report or query is the input.

    :param body: The event's body; None if none arrived.
    """
    from airflow.providers.openlineage.extractors import OperatorLineage

    if not body or body.get("report_id") is None:
        return OperatorLineage()
    authority, report_id = _find_authority(base_url), str(body["report_id"])
    query_id = body.get("query_id")
    return OperatorLineage(
        inputs=[_build_dataset(ReportUri(authority, report_id, None if query_id is None else str(query_id)))],
        run_facets=_name_runs(base_url, [read_event_ids(body).run_id]),
    )


def build_files_lineage(base_url: str, files: Iterable[SavedFile]) -> OperatorLineage[Any, Any]:
    """Describe a task that saved results: queries are the inputs, files are the outputs."""
    from airflow.providers.openlineage.extractors import OperatorLineage

    inputs, outputs, runs = [], [], []
    for file in files:
        ids = find_result_ids(file.query_result)
        if ids is not None:
            uri = ReportUri(_find_authority(file.query_result), ids.report_id, ids.query_id)
            inputs.append(_build_dataset(uri))
            runs.append(ids.run_id)
        outputs.append(_build_file(file))
    return OperatorLineage(inputs=inputs, outputs=outputs, run_facets=_name_runs(base_url, runs))


def name_file(path: str) -> tuple[str, str]:
    """
    Name a file as OpenLineage does, by namespace and name.

    The connection id in the URL of a storage, as in ``s3://conn_id@bucket/key``, is removed.
    """
    found = STORAGE_URL.fullmatch(path)  # no URL of the web: a file may have ? and # in its name
    if found is None:
        return "file", path
    scheme, authority, name = found.groups()
    if scheme in ("file", "local"):
        return "file", name
    return f"{scheme}://{authority.rpartition('@')[2]}", name.lstrip("/") or "/"


def _build_dataset(uri: ReportUri) -> Any:
    from airflow.providers.common.compat.openlineage.facet import InputDataset

    return InputDataset(namespace=uri.namespace, name=uri.path)


def _build_output(uri: ReportUri, rows: int | None) -> Any:
    from airflow.providers.common.compat.openlineage.facet import OutputDataset

    return OutputDataset(namespace=uri.namespace, name=uri.path, outputFacets=_count(rows, None))


def _build_file(file: SavedFile) -> Any:
    from airflow.providers.common.compat.openlineage.facet import OutputDataset

    namespace, name = name_file(file.path)
    return OutputDataset(namespace=namespace, name=name, outputFacets=_count(file.rows, file.size))


def _count(rows: int | None, size: int | None) -> dict[str, Any]:
    from airflow.providers.common.compat.openlineage.facet import OutputStatisticsOutputDatasetFacet

    return {"outputStatistics": OutputStatisticsOutputDatasetFacet(rowCount=rows, size=size)}


def _name_runs(base_url: str, run_ids: Iterable[Any]) -> dict[str, Any]:
    """Name the run in PushMetrics; several are joined in one text, because the facet holds one."""
    from airflow.providers.common.compat.openlineage.facet import ExternalQueryRunFacet

    known = dict.fromkeys(str(run_id) for run_id in run_ids if run_id is not None)
    if not known:
        return {}
    source = f"{urlsplit(base_url).scheme}://{_find_authority(base_url)}"
    return {"externalQuery": ExternalQueryRunFacet(externalQueryId=",".join(known), source=source)}


def _find_authority(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2].lower()
