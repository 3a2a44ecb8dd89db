"""Folders of CSV and Parquet files through saved reports: values stay, and a table is one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.integration.service.conftest import Api


@pytest.fixture(scope="module")
def database_kind() -> str:
    """Run these tests on one kind of database of the service: they are of those that blocks ask."""
    return "sqlite"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "exports"
    folder.mkdir()
    return folder


async def run(api: Api, folder: Path, **queries: str) -> dict[str, Any]:
    """Run queries of a folder in a report; give the outputs of the run."""
    database = await api.add_database(f"duckdb:///{folder}")
    blocks = (
        {"type": "sql", "name": name, "content": {"sql": sql, "database_id": database["id"]}}
        for name, sql in queries.items()
    )
    return await api.run_by_api((await api.create_report(*blocks))["id"])


async def fetch(api: Api, outputs: dict[str, Any], name: str, form: str) -> str:
    """Fetch a result as text."""
    url = next(query["query_result"] for query in outputs["queries"] if query["query_name"] == name)
    answer = await api.client.get(url, headers={"Accept": form})
    return answer.raise_for_status().text


# fmt: off
UNCHANGED = {
    "long numbers beside a fraction": (["9007199254740993", "12.5"], ["9007199254740993.0", "12.5"]),
    "long amounts": (["123456789012345678.12", "0.5"], ["123456789012345678.12", "0.50"]),
    "more digits than a decimal": (["1" * 38 + ".5", "0.5"], ["1" * 38 + ".5", "0.5"]),
    "floats": (["0.30000000000000004", "NaN", "-Infinity"], ["0.30000000000000004", "NaN", "-Infinity"]),
    "powers of ten": (["0.5", "1e-07", "1.5E+300"], ["0.5", "1e-7", "1.5e+300"]),
    "floats that no double holds": (["1.2345678901234567e+17", "1.5"], ["1.2345678901234567e+17", "1.5"]),
    "floats beyond all doubles": (["1e+400", "1.5", "1e-400"], ["1e+400", "1.5", "1e-400"]),
    "names that look like numbers": (["1E5", "12"], ["1E5", "12"]),
    "names with underscores": (["1_000.5", "12"], ["1_000.5", "12"]),
    "zeros in front": (["01234", "12"], ["01234", "12"]),
    "days or months first": (["01/02/2024", "01/03/2024"], ["01/02/2024", "01/03/2024"]),
    "months first": (["01/02/2024", "01/13/2024"], ["01/02/2024", "01/13/2024"]),
    "other times": (["01/02/2024 10:00", "01/03/2024 11:00"], ["01/02/2024 10:00", "01/03/2024 11:00"]),
    "letters": (["t", "f"], ["t", "f"]),
    "times with an offset": (["12:30:00+02", "13:00:00+02"], ["12:30:00+02", "13:00:00+02"]),
    "nanoseconds": (["2024-01-01 10:00:00.123456789"], ["2024-01-01 10:00:00.123456789"]),
    "empty texts": (['""', "x"], ['""', "x"]),
    "whole numbers": (["9223372036854775807", "", "-5"], ["9223372036854775807", "", "-5"]),
    "quoted nothing among numbers": (['""', '"1"'], ["", "1"]),
    "booleans": (["TRUE", "false"], ["true", "false"]),
    "dates": (["2024-02-29", "2024/3/1"], ["2024-02-29", "2024-03-01"]),
    "timestamps": (["2024-02-29 12:30:00.5"], ["2024-02-29T12:30:00.500000"]),
    "timestamps with a zone": (["2024-02-29T12:30:00+02:00"], ["2024-02-29T10:30:00+00:00"]),
    "timestamps in UTC": (["2024-02-29 12:30:00Z"], ["2024-02-29T12:30:00+00:00"]),
}
# fmt: on
"""Cells of a column, and what they are as CSV; in the file is a second column."""


async def test_values_of_a_csv_file_are_told_unchanged(api: Api, folder: Path) -> None:
    for number, (cells, _) in enumerate(UNCHANGED.values()):
        lines = "".join(f"{cell},{row}\n" for row, cell in enumerate(cells))
        (folder / f"file_{number}.csv").write_text(f"v,n\n{lines}")
    queries = {f"q{n}": f"SELECT v FROM file_{n} ORDER BY n" for n in range(len(UNCHANGED))}
    outputs = await run(api, folder, **queries)
    told = {
        name: (await fetch(api, outputs, f"q{number}", "text/csv")).split("\r\n")[1:-1]
        for number, name in enumerate(UNCHANGED)
    }
    assert told == {name: expected for name, (_, expected) in UNCHANGED.items()}


async def test_export_of_the_service_is_read_back_as_it_was(api: Api, folder: Path) -> None:
    (folder / "seed.csv").write_text("n\n1\n2\n")
    exported = (
        "SELECT n, 9007199254740993.25 + n AS amount, 0.1::DOUBLE * n AS ratio,"
        " CASE n WHEN 1 THEN '' END AS memo, DATE '2024-02-01' + n::INTEGER AS day, n = 1 AS flag,"
        " TIMESTAMPTZ '2024-01-01 00:00:00+02' AS at,"
        " 'a \"quoted\", text\n' AS note FROM seed ORDER BY n"
    )
    first = await fetch(api, await run(api, folder, q=exported), "q", "text/csv")
    (folder / "copy.csv").write_bytes(first.encode())
    outputs = await run(
        api, folder, q="SELECT * FROM copy", types="SELECT typeof(COLUMNS(*)) FROM copy LIMIT 1"
    )
    assert await fetch(api, outputs, "q", "text/csv") == first
    assert await api.fetch_rows(outputs, "types") == [
        {
            "n": "BIGINT",
            "amount": "DECIMAL(38,2)",
            "ratio": "DOUBLE",
            "memo": "VARCHAR",
            "day": "DATE",
            "flag": "BOOLEAN",
            "at": "TIMESTAMP WITH TIME ZONE",
            "note": "VARCHAR",
        }
    ]


async def test_null_in_the_only_column_is_an_empty_line_and_read_back_as_null(api: Api, folder: Path) -> None:
    (folder / "seed.csv").write_text("n\n1\n2\n3\n")
    outputs = await run(api, folder, q="SELECT nullif(n, 2) AS m FROM seed ORDER BY n")
    told = await fetch(api, outputs, "q", "text/csv")
    assert told == "m\r\n1\r\n\r\n3\r\n"
    (folder / "copy.csv").write_bytes(told.encode())
    outputs = await run(api, folder, q="SELECT * FROM copy")
    assert await api.fetch_rows(outputs, "q") == [{"m": 1}, {"m": None}, {"m": 3}]


async def test_table_of_two_files_is_refused_with_both_names(api: Api, folder: Path) -> None:
    (folder / "sales.csv").write_text("year\n2026\n")
    pq.write_table(pa.table({"year": [2024]}), folder / "sales.parquet")
    (folder / "Orders.csv").write_text("n\n1\n")
    (folder / "orders.csv").write_text("n\n2\n")
    (folder / "cities.csv").write_text("name\nBerlin\n")
    outputs = await run(
        api,
        folder,
        sales="SELECT * FROM sales",
        orders='SELECT * FROM "Orders"',
        cities="SELECT name AS sales FROM Cities",
        tables="SELECT table_name AS name FROM information_schema.tables",
    )
    errors = {block["name"]: block["error"] for block in outputs["blocks"]}
    assert "the table 'sales' is in 2 files, sales.csv and sales.parquet" in errors["sales"]
    assert "2 files, Orders.csv and orders.csv: rename or remove all but one" in errors["orders"]
    assert await api.fetch_rows(outputs, "cities") == [{"sales": "Berlin"}]
    assert await api.fetch_rows(outputs, "tables") == [{"name": "cities"}]
