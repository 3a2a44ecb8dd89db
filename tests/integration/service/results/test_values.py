"""
Each type of each database, through a saved report and over HTTP, for every reader.

The rows are in ``value_rows``. One service serves all databases; of each, one report has four blocks for each
row: its query with a value and a null, the same query without rows, a text and a mail with files.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime
from datetime import time as clock_time
from decimal import Decimal
from email.message import EmailMessage
from typing import Any

import duckdb
import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.service.results.encoders.formats import (
    ARROW,
    CSV,
    JSON,
    NDJSON,
    PARQUET,
    XLSX,
)
from airflow_provider_pushmetrics.service.results.values import write_json
from tests.fakes.mail_server import MailServer, serve_mail_in_thread
from tests.fakes.postgres import make_database
from tests.fakes.service_process import API_TOKEN, ServiceProcess, run_ready_service
from tests.fakes.waiting import wait_until
from tests.integration.service.results.value_rows import (
    DATABASES,
    DUCKDB,
    MARIADB,
    POSTGRES,
    ROWS,
    SQLITE,
    ValueRow,
)

CASES = [
    pytest.param(
        database,
        row,
        id=f"{database}-{row.name}",
        marks=[pytest.mark.postgres] if database == POSTGRES else [],
    )
    for database in DATABASES
    for row in ROWS
    if database in row.sql
]


@dataclass(frozen=True)
class Read:
    """
    A finished report, and where to read it.

    :param outputs: The outputs of its run.
    :param uids: Its blocks by their names.
    """

    service: ServiceProcess
    outputs: dict[str, Any]
    uids: dict[str, str]

    def find_block(self, name: str) -> dict[str, Any]:
        """Find what became of a block, which must have succeeded."""
        block: dict[str, Any] = next(one for one in self.outputs["blocks"] if one["name"] == name)
        assert block["status"] == "success", block["error"]
        return block

    def get(self, name: str, accept: str) -> bytes:
        """Read a query's result in a format."""
        url = self.find_block(name)["query_result"]
        answer = self.service.client.get(url, headers={"Accept": accept})
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-pushmetrics-truncated"] == "false"
        return answer.content


@pytest.fixture(scope="module")
def mail() -> Iterator[MailServer]:
    with serve_mail_in_thread() as server:
        yield server


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, mail: MailServer) -> Iterator[ServiceProcess]:
    data = tmp_path_factory.mktemp("values")
    (data / "sources").mkdir()
    duckdb.connect(str(data / "sources" / "values.duckdb")).close()
    (data / "sources" / "values.sqlite").touch()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "HOST": "127.0.0.1", "PORT": str(mail.port), "SECURITY": "none", "SENDER": "reports@example.com",
        }.items():  # fmt: skip
            patch.setitem(os.environ, f"PUSHMETRICS_SERVICE_SMTP_{name}", value)
        with run_ready_service(data, "--allow-private-endpoints") as service:
            yield service


@pytest.fixture(scope="module")
def reads(service: ServiceProcess, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Read]]:
    """Give the finished report of a database, which is made and run at the first wish."""
    known: dict[str, Read | None] = {}
    with ExitStack() as stack:

        def read(database: str) -> Read:
            if database not in known:
                known[database] = None
                known[database] = run_report(service, database, find_url(database, request, stack))
            found = known[database]
            assert found is not None, "the report could not be run"
            return found

        yield read


def find_url(database: str, request: pytest.FixtureRequest, stack: ExitStack) -> str:
    if database == DUCKDB:
        return "duckdb:///values.duckdb"
    if database == SQLITE:
        return "sqlite:///values.sqlite"
    if database == MARIADB:
        return str(request.getfixturevalue("mariadb_url"))
    url = stack.enter_context(make_database(request.getfixturevalue("postgres_server_url")))
    return url.replace("postgresql+psycopg", "postgresql")


def save_database(service: ServiceProcess, name: str, url: str) -> int:
    source = service.client.post("/api/v1/database/", json={"database_name": name, "sqlalchemy_uri": url})
    assert source.status_code == 201, source.text
    return int(source.json()["id"])


def run_report(service: ServiceProcess, database: str, url: str) -> Read:
    """Save a report of all rows of a database, run it, and wait for its end."""
    database_id = save_database(service, database, url)
    blocks: list[dict[str, Any]] = []
    for row in ROWS:
        if database in row.sql:
            blocks += make_blocks(row, row.sql[database], database_id)
    return run_blocks(service, database, blocks)


def run_blocks(service: ServiceProcess, name: str, blocks: list[dict[str, Any]]) -> Read:
    """Save a report, run it, and wait for its end."""
    made = service.client.post("/api/v1/report/", json={"name": name, "blocks": blocks})
    assert made.status_code == 201, made.text
    report = made.json()["result"]
    run = service.client.post(f"/api/v1/report/{report['id']}/run/noteflow").json()["result"]
    outputs = f"/api/reports/{report['id']}/run/{run['run_id']}"
    wait_until(lambda: service.client.get(outputs).status_code != 202)
    uids = {one["name"]: one["uid"] for one in report["blocks"]}
    return Read(service, service.client.get(outputs).json(), uids)


def make_blocks(row: ValueRow, expression: str, database_id: int) -> list[dict[str, Any]]:
    # An outer join keeps the type, of which a union with null would lose the digits.
    query = (
        "select t.v from (select 1 as k union all select 2) n"
        f" left join (select 1 as k, {expression} as v) t on t.k = n.k order by n.k"
    )
    template = f"{{{{ {row.name}.data[0].v }}}}"
    files = [{"query": row.name, "format": kind} for kind in ("csv", "xlsx", "json", "parquet")]
    mail = {
        "to_": ["me@example.com"], "subject": row.name, "value": template,
        "attachments": files,
    }  # fmt: skip
    return [
        {"type": "sql", "name": row.name, "content": {"sql": query, "database_id": database_id}},
        {
            "type": "sql",
            "name": f"no_{row.name}",
            "content": {"sql": f"select * from ({query}) q where 1 = 0", "database_id": database_id},
        },
        {"type": "text", "name": f"{row.name}_text", "content": {"text": template}},
        {"type": "email", "name": f"{row.name}_mail", "content": mail},
    ]


def check_rows(row: ValueRow, rows: list[Any]) -> None:
    """Compare the rows of parsed JSON."""
    wanted = json.loads(row.json, parse_float=Decimal)
    assert [list(one) for one in rows] == [["v"], ["v"]]
    found = rows[0]["v"]
    assert str(found) == str(wanted) if isinstance(wanted, Decimal) else found == wanted
    assert rows[1]["v"] is None


def check_csv(row: ValueRow, text: str, *, guarded: str | None = None) -> None:
    """Compare CSV, where null is nothing and the empty text has quotes."""
    assert [one[0] for one in csv.reader(io.StringIO(text, newline="")) if one][1] == (guarded or row.csv)
    assert text.endswith("\r\n\r\n")
    assert (text.splitlines()[1] == '""') is (row.csv == "")


def check_workbook(row: ValueRow, content: bytes) -> None:
    """Compare the cells of a workbook, which are numbers and dates where they can be."""
    sheet = openpyxl.load_workbook(io.BytesIO(content))["Result"]
    cell = sheet["A2"]
    assert sheet["A1"].value == "v"
    assert sheet["A3"].value is None
    match cell.value:
        case bool():
            assert str(cell.value).lower() == row.csv
        case int() | float():
            assert Decimal(repr(cell.value)) == Decimal(row.csv)
        case datetime() if "T" not in row.csv:
            assert cell.value.date().isoformat() == row.csv
        case datetime() | clock_time():
            assert cell.value.isoformat() == row.csv
        case None:
            assert row.csv == ""
        case _:
            assert cell.value == row.csv
            assert cell.data_type == "s"


def check_type(row: ValueRow, found: pa.DataType) -> None:
    assert row.arrow is None or str(found).startswith(row.arrow), found


@pytest.mark.slow
@pytest.mark.parametrize(("database", "row"), CASES)
def test_value_in_every_format(reads: Callable[[str], Read], database: str, row: ValueRow) -> None:
    read = reads(database)
    lines = read.get(row.name, NDJSON).decode().splitlines()
    assert lines == [f'{{"v":{row.json}}}', '{"v":null}']
    body = read.get(row.name, JSON)
    assert f'"data":[{{"v":{row.json}}},{{"v":null}}]}}'.encode() in body
    check_rows(row, json.loads(body, parse_float=Decimal)["data"])
    check_csv(row, read.get(row.name, CSV).decode())
    check_workbook(row, read.get(row.name, XLSX))
    table = pa.ipc.open_stream(read.get(row.name, ARROW)).read_all()
    check_type(row, table.schema.field("v").type)
    assert table["v"].null_count == 1
    stored = pq.read_table(io.BytesIO(read.get(row.name, PARQUET)))
    assert stored.num_rows == 2
    if stored.schema.types == table.schema.types:
        assert stored["v"].combine_chunks().to_string() == table["v"].combine_chunks().to_string()


LATE_FRACTION = """
with recursive n(i) as (select 1 union all select i + 1 from n where i <= 10000)
select iif(i <= 10000, 1, 1.5) as small, iif(i <= 10000, 9007199254740993, 1.5) as large from n order by i
"""


def test_late_fraction_of_sqlite_costs_no_value_a_digit(service: ServiceProcess) -> None:
    database_id = save_database(service, "widened", "sqlite:///values.sqlite")
    block = {"type": "sql", "name": "late", "content": {"sql": LATE_FRACTION, "database_id": database_id}}
    read = run_blocks(service, "widened", [block])
    wanted = [(Decimal(1), Decimal(9007199254740993))] * 10_000 + [(Decimal("1.5"), Decimal("1.5"))]
    lines = read.get("late", NDJSON).decode().splitlines()
    rows = json.loads(read.get("late", JSON), parse_float=Decimal, parse_int=Decimal)["data"]
    assert rows == [json.loads(line, parse_float=Decimal, parse_int=Decimal) for line in lines]
    cells = list(csv.reader(io.StringIO(read.get("late", CSV).decode(), newline="")))[1:]
    sheet = openpyxl.load_workbook(io.BytesIO(read.get("late", XLSX)), read_only=True)["Result"]
    grid = sheet.iter_rows(min_row=2, values_only=True)
    table = pa.ipc.open_stream(read.get("late", ARROW)).read_all()
    assert table.equals(pq.read_table(io.BytesIO(read.get("late", PARQUET))).cast(table.schema))
    for found in (
        [(row["small"], row["large"]) for row in rows],
        [(Decimal(small), Decimal(large)) for small, large in cells],
        [(Decimal(str(small)), Decimal(str(large))) for small, large in grid],
        [(Decimal(str(row["small"])), Decimal(str(row["large"]))) for row in table.to_pylist()],
    ):
        assert found == wanted


@pytest.mark.parametrize(("database", "row"), CASES)
def test_result_without_rows_has_the_same_schema(
    reads: Callable[[str], Read], database: str, row: ValueRow
) -> None:
    read = reads(database)
    empty = pa.ipc.open_stream(read.get(f"no_{row.name}", ARROW)).read_all()
    assert empty.num_rows == 0
    full = pa.ipc.open_stream(read.get(row.name, ARROW)).schema
    if database != SQLITE and "decimal" not in str(full.field("v").type):
        assert (
            empty.schema.types == full.types
        )  # a decimal without a declared precision is as large as needed
    assert json.loads(read.get(f"no_{row.name}", JSON))["data"] == []
    assert read.get(f"no_{row.name}", CSV) == b"v\r\n"


@pytest.mark.parametrize(("database", "row"), CASES)
def test_value_on_the_page(reads: Callable[[str], Read], database: str, row: ValueRow) -> None:
    read = reads(database)
    path = f"/app/results/run/{read.outputs['run_id']}/{read.uids[row.name]}/rows"
    page = read.service.client.get(path).json()
    assert page["rows"] == [[row.csv], [None]]


@pytest.mark.parametrize(("database", "row"), CASES)
def test_value_in_templates(reads: Callable[[str], Read], database: str, row: ValueRow) -> None:
    read = reads(database)
    text = read.find_block(f"{row.name}_text")["output"]
    if row.arrow != "extension<arrow.json>":
        assert text == row.csv
    elif row.json.startswith('"'):
        assert text == json.loads(row.json)  # a template sees the text that a JSON string is
    else:
        assert json.loads(text, parse_float=str) == json.loads(row.json, parse_float=str)


@pytest.mark.parametrize(("database", "row"), CASES)
def test_value_in_files_of_mails(
    reads: Callable[[str], Read], mail: MailServer, database: str, row: ValueRow
) -> None:
    read = reads(database)
    read.find_block(f"{row.name}_mail")
    message = wait_for_mail(mail, row, read.outputs["run_id"])
    files = read_files(message)
    assert list(files) == [f"{row.name}.{kind}" for kind in ("csv", "xlsx", "json", "parquet")]
    text, workbook, body, parquet = files.values()
    is_guarded = row.csv[:1] in tuple("=+-@") and not row.is_number and row.csv != "-Infinity"
    check_csv(row, text.decode("utf-8-sig"), guarded=f"'{row.csv}" if is_guarded else None)
    check_workbook(row, workbook)
    check_rows(row, json.loads(body, parse_float=Decimal)["data"])
    assert parquet == read.get(row.name, PARQUET)


def read_files(message: EmailMessage) -> dict[str, bytes]:
    """Read the files of a mail by their names."""
    files = {str(one.get_filename()): one.get_payload(decode=True) for one in message.iter_attachments()}
    return {name: content for name, content in files.items() if isinstance(content, bytes)}


def wait_for_mail(mail: MailServer, row: ValueRow, run_id: int) -> EmailMessage:
    """Wait for the mail of a row and a run, which is told by the JSON that goes with it."""

    def is_wanted(message: EmailMessage) -> bool:
        if message["Subject"] != row.name:
            return False
        return bool(json.loads(read_files(message)[f"{row.name}.json"])["run_id"] == run_id)

    return wait_until(lambda: next(filter(is_wanted, list(mail.taken)), None), f"a mail for {row.name}")


@pytest.mark.parametrize(("database", "row"), CASES)
def test_value_by_the_hook(
    reads: Callable[[str], Read], database: str, row: ValueRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = reads(database)
    connection = {
        "conn_type": "pushmetrics", "host": str(read.service.client.base_url), "password": API_TOKEN,
    }  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_PUSHMETRICS_DEFAULT", json.dumps(connection))
    hook, url = PushMetricsHook(), read.find_block(row.name)["query_result"]
    rows = hook.fetch_rows(url)
    check_python(row, rows[0]["v"])
    assert rows[1]["v"] is None
    check_type(row, hook.fetch_arrow(url).schema.field("v").type)
    for frame in (hook.fetch_pandas(url), hook.fetch_polars(url)):
        values = list(frame["v"])
        check_python(row, values[0], in_frame=True)


def assert_number(row: ValueRow, value: float) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        assert repr(value) == {"NaN": "nan", "-Infinity": "-inf"}[row.csv]
    elif row.arrow == "float":
        assert np.float32(value) == np.float32(row.csv)
    else:
        assert Decimal(str(value)) == Decimal(row.csv)


def check_python(row: ValueRow, value: Any, *, in_frame: bool = False) -> None:
    """Compare a value of Python with the text of a row."""
    if row.arrow == "extension<arrow.json>":
        wanted = json.loads(row.json, parse_float=Decimal)
        assert (json.loads(value, parse_float=Decimal) if in_frame else value) == wanted
        return
    match value:
        case None:
            assert row.json == "null"
        case bool():
            assert str(value).lower() == row.csv
        case Decimal():
            assert format(value, "f") == row.csv
        case bytes():
            assert row.csv == "AP8="
        case datetime() | date() | clock_time():
            assert value.isoformat() == row.csv
        case str():
            assert value == row.csv
        case int() | float():
            assert_number(row, value)
        case _ if not in_frame:  # frames have lists and structures of their own
            assert json.loads(write_json(value)) == json.loads(row.json)
