from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_pushmetrics.demo.results import find_files, find_result, read_rows
from airflow_provider_pushmetrics.exceptions import DemoError


def test_files_are_found_in_all_folders(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "by_day.json").write_text("[]")
    assert find_files(tmp_path) == {tmp_path / "a" / "b" / "by_day.json"}


def test_the_file_of_a_query_is_found_by_its_name() -> None:
    files = {Path("x/by_day.json"), Path("x/by_carrier.ndjson")}
    assert find_result(files, "by_carrier") == Path("x/by_carrier.ndjson")


def test_a_result_that_was_not_saved_is_named_with_those_that_were() -> None:
    with pytest.raises(
        DemoError, match=r"no result of query 'by_carrier'; the files that it saved: by_day\.json"
    ):
        find_result({Path("x/by_day.json")}, "by_carrier")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("r.json", '{"query_id": 1, "data": [{"day": 1}, {"day": 2}]}'),
        ("r.json", '[{"day": 1}, {"day": 2}]'),
        ("r.ndjson", '{"day": 1}\n{"day": 2}\n'),
    ],
)
def test_rows_are_read(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_rows(tmp_path / name) == [{"day": 1}, {"day": 2}]


@pytest.mark.parametrize("text", ["<html>", '{"rows": []}'])
def test_a_file_without_rows_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(DemoError, match="has no rows as JSON"):
        read_rows(tmp_path / "r.json")
