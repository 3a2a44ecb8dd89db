from __future__ import annotations

from pathlib import Path

import pytest

from demo.errors import DemoError
from demo.main_job import find_files, find_result, read_rows


def test_the_file_of_a_query_is_found_in_any_folder_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "by_day.json").write_text("[]")
    assert find_result(find_files(tmp_path), "by_day") == tmp_path / "a" / "b" / "by_day.json"


def test_a_result_that_was_not_saved_is_named_with_those_that_were() -> None:
    with pytest.raises(
        DemoError, match=r"no result of query 'by_carrier'; the files that it saved: by_day\.json"
    ):
        find_result({Path("x/by_day.json")}, "by_carrier")


@pytest.mark.parametrize("text", ['{"query_id": 1, "data": [{"day": 1}]}', '[{"day": 1}]'])
def test_rows_are_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    assert read_rows(tmp_path / "r.json") == [{"day": 1}]


@pytest.mark.parametrize("text", ["<html>", '{"rows": []}'])
def test_a_file_without_rows_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(DemoError, match="has no rows as JSON"):
        read_rows(tmp_path / "r.json")
