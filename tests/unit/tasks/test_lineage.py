from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_pushmetrics.tasks.lineage import (
    SavedFile,
    build_event_lineage,
    build_files_lineage,
    build_run_lineage,
    name_file,
)

BASE = "https://pushmetrics.io"
RESULT = f"{BASE}/api/reports/1/queries/2"


def find_run(lineage: Any) -> Any:
    facet = lineage.run_facets.get("externalQuery")
    return facet and facet.externalQueryId


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/data/a b.csv", ("file", "/data/a b.csv")),
        ("file:///data/a.csv", ("file", "/data/a.csv")),
        ("s3://bucket/a/b.parquet", ("s3://bucket", "a/b.parquet")),
        ("s3://aws_default@bucket/a/b.parquet", ("s3://bucket", "a/b.parquet")),
        ("gs://bucket", ("gs://bucket", "/")),
        ("/data/#1 sales/a?b.json", ("file", "/data/#1 sales/a?b.json")),
        ("file:///data/#1 sales/a.json", ("file", "/data/#1 sales/a.json")),
        ("s3://bucket/a?b/q#1.json", ("s3://bucket", "a?b/q#1.json")),
        ("/data/odd://name/a.csv", ("file", "/data/odd://name/a.csv")),
    ],
)
def test_a_file_is_named_without_its_connection(path: str, name: tuple[str, str]) -> None:
    assert name_file(path) == name


def test_a_query_run_by_itself_is_named_by_its_query() -> None:
    body = {"event": "query.run", "report_id": 1, "query_id": 2, "query_result": f"{RESULT}/run/9"}
    lineage = build_event_lineage(BASE, body)
    assert [dataset.name for dataset in lineage.inputs] == ["reports/1/queries/2"]
    assert find_run(lineage) == "9"


def test_an_event_without_a_run_has_none() -> None:
    lineage = build_event_lineage(BASE, {"event": "report.run", "report_id": 1})
    assert len(lineage.inputs) == 1
    assert find_run(lineage) is None


def test_files_of_several_runs_name_each_run_once() -> None:
    files = [SavedFile(f"{RESULT}/reportRun/{run}", f"/{run}", None, 1) for run in (7, 7, 8)]
    lineage = build_files_lineage(BASE, files)
    assert find_run(lineage) == "7,8"
    assert len(lineage.outputs) == 3


def test_a_result_with_an_address_that_nobody_knows_still_has_its_file() -> None:
    lineage = build_files_lineage(BASE, [SavedFile(f"{BASE}/somewhere?token=x", "/a.csv", None, 1)])
    assert lineage.inputs == []
    assert [dataset.name for dataset in lineage.outputs] == ["/a.csv"]


def test_a_user_in_an_address_is_left_out() -> None:
    lineage = build_run_lineage("https://user:secret@pm.example:8443", 1, {"run_id": 7})
    assert lineage.inputs[0].namespace == "pushmetrics://pm.example:8443"
    facet: Any = lineage.run_facets["externalQuery"]
    assert facet.source == "https://pm.example:8443"
