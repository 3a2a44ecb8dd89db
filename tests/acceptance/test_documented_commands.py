"""Shell commands of the pages, typed as they are written, but for installations, ports and made-up names."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scripts.docs_blocks.blocks import ROOT, find_blocks
from scripts.docs_blocks.shell import read_code
from tests.fakes.airflow_versions import needs_airflow
from tests.fakes.service_process import API_TOKEN, ServiceProcess, find_free_port, run_ready_service
from tests.fakes.short_folder import make_short_folder

pytestmark = needs_airflow("3.3")

WAIT = """until curl --silent --fail --output /dev/null {url}
do kill -0 $server; read -r -t 0.2 <> <(:) || true; done"""
"""Wait for the server of the block before, as long as its process lives."""


@dataclass(frozen=True)
class Reader:
    """
    A person with a terminal and an empty home.

    :param home: The home, which is where the terminal is open.
    :param variables: What is set in the terminal.
    """

    home: Path
    variables: dict[str, str] = field(default_factory=dict)

    def type(self, *commands: str) -> str:
        """Type commands into one terminal, and return what they print."""
        own = {name: value for name, value in os.environ.items() if not re.match("AIRFLOW|PUSHMETRICS", name)}
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = own | {"HOME": str(self.home), "PATH": programs, "NO_PROXY": "127.0.0.1"}
        environment |= {
            "NO_COLOR": "1",
            "AIRFLOW_HOME": str(self.home / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        }
        ended = subprocess.run(
            ["bash", "-e", "-c", "\n".join(commands)],
            cwd=self.home,
            env=environment | self.variables,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout


def read(page: str, start: str, replaced: Mapping[str, str] | None = None) -> str:
    """Read the block of a page in which a line begins so."""
    text = (ROOT / page).read_text("utf-8")
    codes = [
        read_code(block)
        for block in find_blocks(page, text)
        if block.language in ("bash", "console", "shell")
    ]
    (code,) = [code for code in codes if re.search(rf"^{re.escape(start)}", code, re.M)]
    for old, new in (replaced or {}).items():
        assert old in code, (page, old)
        code = code.replace(old, new)
    return code


@pytest.fixture
def reader() -> Iterator[Reader]:
    with make_short_folder() as home:
        yield Reader(home)


@pytest.fixture(scope="module", name="service")
def start_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with run_ready_service(tmp_path_factory.mktemp("service") / "data", "--demo") as service:
        yield service


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_the_page_of_the_service_starts_it_and_runs_its_report(reader: Reader) -> None:
    port = find_free_port()
    (reader.home / "pushmetrics").symlink_to(sys.prefix)
    reader.variables["PUSHMETRICS_SERVICE_PORT"] = str(port)
    start = read(
        "docs/service.md",
        "pushmetrics service --demo",
        {
            "python -m venv pushmetrics && ": "",
            "pip install '.[demo]' --constraint": ": --constraint",
            "pushmetrics service --demo\n": "pushmetrics service --demo >service.log 2>&1 & server=$!\n",
        },
    )
    call = read("docs/service.md", "curl -X POST", {"127.0.0.1:8090": f"127.0.0.1:{port}"})
    ready = WAIT.format(url=f"http://127.0.0.1:{port}/health/ready")
    printed = reader.type("trap 'kill $server; wait $server || true' EXIT", start, ready, call)
    shown = '{"success":true,"run_id":1}'
    assert printed == shown
    assert f"\n{shown}\n```" in (ROOT / "docs" / "service.md").read_text("utf-8")


def connect(reader: Reader, service: ServiceProcess) -> None:
    """Set the connection as docs/connection.md says."""
    connection = {
        "conn_type": "pushmetrics",
        "host": str(service.client.base_url).rstrip("/"),
        "password": API_TOKEN,
        "extra": {"trigger_tokens": {"1": service.find_trigger_token()}},
    }
    reader.variables["AIRFLOW_CONN_PUSHMETRICS_DEFAULT"] = json.dumps(connection)


def test_the_page_of_the_doctor_finds_a_healthy_connection(reader: Reader, service: ServiceProcess) -> None:
    connect(reader, service)
    reader.type("airflow db migrate")
    printed = reader.type(read("docs/how-to/doctor.md", "pushmetrics doctor --json"))
    assert re.search(r"^ok +host +host http://127\.0\.0\.1:\d+ and the API token work", printed, re.M)
    assert json.loads(printed[printed.index("\n{") :])


def test_the_page_of_dags_from_reports_writes_a_dag_and_checks_it(
    reader: Reader, service: ServiceProcess
) -> None:
    connect(reader, service)
    page = "docs/how-to/dag-from-report.md"
    (reader.home / "dags").mkdir()
    printed = reader.type(read(page, "pushmetrics dag new 1"))
    assert "0 differences, 0 unchecked" in printed
    compile((reader.home / "dags" / "report_1.py").read_text(), "report_1.py", "exec")
    del reader.variables["AIRFLOW_CONN_PUSHMETRICS_DEFAULT"]
    url = str(service.client.base_url).rstrip("/")
    replaced = {"https://pushmetrics.io": url, "TOKEN=…": f"TOKEN={API_TOKEN}"}
    there = read(page, "export PUSHMETRICS_API_TOKEN", replaced)
    assert "0 differences, 0 unchecked" in reader.type(there)


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_the_pages_of_the_receiver_start_it_and_back_it_up(reader: Reader) -> None:
    port = find_free_port()
    start = read(
        "docs/receiver.md",
        "pushmetrics receiver --port 8091",
        {
            "PUSHMETRICS_RECEIVER_TOKEN=… ": "PUSHMETRICS_RECEIVER_TOKEN=sender-token-0123456789 ",
            "READER_TOKEN=…": "READER_TOKEN=reader-token-0123456789",
            "--port 8091": f"--port {port}",
            "inbox.db\n": "inbox.db >receiver.log 2>&1 & server=$!\n",
        },
    )
    ready = WAIT.format(url=f"http://127.0.0.1:{port}/health/ready")
    backup = read(
        "docs/how-to/upgrade.md",
        "pushmetrics receiver backup",
        {"${AIRFLOW_HOME:-$HOME/airflow}/pushmetrics-inbox.db": "inbox.db"},
    )
    reader.type("trap 'kill $server; wait $server || true' EXIT", start, ready, backup)
    with tarfile.open(reader.home / "inbox-before-upgrade.tar") as archive:
        assert archive.getnames()


def test_the_page_of_the_service_backs_it_up_and_restores_it(reader: Reader, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with run_ready_service(data, "--demo"):
        pass
    places = {"/backups/": f"{reader.home}/", "/srv/pushmetrics": str(data)}
    places["/srv/restored"] = f"{reader.home}/restored"
    reader.type(read("docs/service.md", "pushmetrics service backup", places))
    shutil.copy(data / "secret-key", reader.home / "restored")  # which is in no backup, as the command says
    with run_ready_service(reader.home / "restored") as restored:
        names = [row["name"] for row in restored.client.get("/api/v1/report/").json()["result"]]
    assert names == ["Departure delays"]


def test_the_pages_of_connections_add_them_and_the_page_of_the_removal_deletes_them(reader: Reader) -> None:
    page, add = "docs/how-to/connections.md", "airflow connections add pushmetrics_default"
    delete = read("docs/how-to/uninstall.md", "airflow connections delete").splitlines()[0]
    reader.type("airflow db migrate")
    for start in (f"{add} \\", f"{add} --conn-json"):
        reader.type(read(page, start))
        assert list_connections(reader) == [("pushmetrics_default", "pushmetrics", "https://pushmetrics.io")]
        reader.type(delete)
    reader.type(read("docs/receiver.md", "airflow connections add pushmetrics_receiver"))
    assert list_connections(reader) == [("pushmetrics_receiver", "generic", None)]
    reader.type(read("docs/how-to/uninstall.md", "airflow connections delete").splitlines()[1])
    assert list_connections(reader) == []


def list_connections(reader: Reader) -> list[tuple[str, str, str | None]]:
    """List the connections of Airflow's database."""
    with closing(sqlite3.connect(reader.home / "airflow" / "airflow.db")) as database:
        return list(database.execute("SELECT conn_id, conn_type, host FROM connection"))
