"""``pushmetrics dag``, as a user runs it: its Dags run, and it tells when a report has changed."""

from __future__ import annotations

import ast
import json
import os
import signal
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airflow_provider_pushmetrics.client.retrying import DEFAULT_POLICY
from tests.fakes.airflow_versions import AIRFLOW_VERSION, needs_dag_test
from tests.fakes.loopback import serve_http
from tests.fakes.service_process import API_TOKEN
from tests.integration.commands.conftest import Reports, Run

pytestmark = pytest.mark.timeout(900)

RUN_DAG = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("written", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
(dag,) = [one for one in vars(module).values() if type(one).__name__ == "DAG"] or [module.run_report.dag]
ended = dag.test(run_conf=json.loads(sys.argv[2]))
print("STATE", getattr(ended.state, "value", ended.state))
"""
HOSTILE = 'it\'s {{ 1 + 1 }} "quoted" \\ \n 🎉 {% raw %}'
PARAMETERS: dict[str, dict[str, Any]] = {
    "region": {"type": "text", "default": "007", "choices": ["007", HOSTILE, "5"]},
    "month": {"type": "integer", "default": 2},
    "ratio": {"type": "number", "default": 0.5},
    "day": {"type": "date", "default": "2026-01-31"},
    "names": {"type": "text", "multiple": True, "default": ["a", "b"], "choices": ["a", "b", "c"]},
    "flag": {"type": "boolean", "default": True},
    "nothing": {"type": "text"},
}
SENT = "SELECT {{ region }} AS region, {{ month }} AS month, {{ names | length }} AS n"


def find_parameters(reports: Reports, report_id: int) -> dict[str, object]:
    run = reports.request("GET", f"noteflow_run/?report_uid={report_id}")["result"][0]
    parameters: dict[str, object] = reports.request("GET", f"noteflow_run/{run['id']}")["result"][
        "parameters"
    ]
    return parameters


@pytest.mark.slow
@needs_dag_test
def test_written_dag_runs_with_the_types_of_the_report(
    reports: Reports, run: Run, airflow_home: Path, tmp_path: Path
) -> None:
    path = airflow_home / "dags" / "report.py"
    report = reports.add(HOSTILE, PARAMETERS, sent=SENT)
    results = tmp_path / "results"
    written = run("dag", "new", str(report["id"]), "--output", path, "--results", results)
    assert (written.returncode, written.stdout) == (0, ""), written.stderr
    source = path.read_text("utf-8")
    assert API_TOKEN not in source
    assert reports.tokens[str(report["id"])] not in source
    assert ("PushMetricsRetryPolicy" in source) == (AIRFLOW_VERSION >= (3, 3))
    ended = run(path, '{"region": "5", "nothing": null}', code=RUN_DAG)
    assert "STATE success" in ended.stdout, ended.stdout + ended.stderr
    defaults = {name: content.get("default") for name, content in PARAMETERS.items()}
    assert find_parameters(reports, report["id"]) == {**defaults, "region": "5"}
    assert len(list(results.rglob("sent.json"))) == 1
    ended = run(path, "{}", code=RUN_DAG)
    assert "STATE success" in ended.stdout, ended.stdout + ended.stderr
    assert find_parameters(reports, report["id"]) == defaults
    checked = run("dag", "check", path)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.slow
def test_choices_of_a_query_are_in_the_dag(reports: Reports, run: Run) -> None:
    report = reports.add(
        "Choices",
        {"region": {"type": "text", "default": "EMEA", "choices": {"query": "regions"}}},
        regions="SELECT unnest(['EMEA', 'APAC']) AS region",
    )
    before = run("dag", "new", str(report["id"]))
    ast.parse(before.stdout)
    assert "enum" not in before.stdout
    started = reports.request("POST", f"report/{report['id']}/run/noteflow")["result"]
    path = f"/api/reports/{report['id']}/run/{started['run_id']}"
    while reports.service.client.get(path).status_code == 202:
        pass
    after = run("dag", "new", str(report["id"]))
    assert '"APAC"' in after.stdout, after.stdout


@pytest.mark.slow
def test_url_and_a_token_of_the_environment_replace_a_connection(reports: Reports, run: Run) -> None:
    report = reports.add("By URL")
    arguments = ["dag", "new", str(report["id"]), "--url", reports.url, "--conn-id", "other"]
    refused = run(*arguments)
    assert refused.returncode == 2
    assert "PUSHMETRICS_API_TOKEN" in refused.stderr
    written = run(*arguments, PUSHMETRICS_API_TOKEN=API_TOKEN)
    assert written.returncode == 0, written.stderr
    assert 'pushmetrics_conn_id="other"' in written.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("airflow_home")
def test_unknown_report_or_connection_is_an_error_without_a_file(run: Run, tmp_path: Path) -> None:
    for arguments in (["4711"], ["1", "--conn-id", "nowhere"]):
        ended = run("dag", "new", *arguments, "--output", "none.py")
        assert ended.returncode == 2, ended.stdout
        assert "Error: " in ended.stderr
        assert "Traceback" not in ended.stderr
        assert not (tmp_path / "none.py").exists()


def write_dag(path: Path, report_id: object, arguments: str, more: str = "") -> None:
    path.write_text(
        f'''
from airflow.providers.common.compat.sdk import DAG, Param
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor
from airflow_provider_pushmetrics.transfers.pushmetrics import PushMetricsToObjectStorageOperator

print("a Dag file may print")
with DAG("{path.stem}", schedule=None, params={{"month": Param(2, type="integer"), "region": Param("x")}}):
    run_report = PushMetricsTriggerReportOperator(task_id="run_report", report_id={report_id!r}, {arguments})
    {more}
''',
        "utf-8",
    )


DIFFERENCES = {
    "parameters={'orign': 1, 'month': 1}": "has no parameter 'orign'",
    "parameters={'region': 'gone', 'month': 1}": "has no choice 'gone' any more",
    "parameters={'region': 'EMEA'}": "has the parameter 'month', which the Dag does not have",
    "parameters={'month': 'May'}": "'month' of report {id} ('Compared') is integer, and the Dag gives 'May'",
    "parameters={'month': 1, 'region': '{{ params.month }}'}": "has no choice '2' any more",
    "parameters={'month': None}": "'month' of report {id} ('Compared') is required, and the Dag gives None",
    "parameters='{{ params }}', params={'region': 'EMEA'}": (
        "would get the text of all Params in place of parameters: the Dag needs render_template_as_native_obj"
    ),
    "parameters='{{ params }}'": "has no choice 'x' any more",
    "parameters='{{ params }}', params={'extra': 1}": "has no parameter 'extra'",
    "parameters={'month': '{{ params.own }}'}, params={'own': Param('May', type='string')}": (
        "is integer, and its Param is string"
    ),
}
SAVE = (
    "PushMetricsToObjectStorageOperator(task_id='save', report_run=run_report.output,"
    " path='x', queries=['gone'])"
)


SENSORS = """
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor

with DAG("sensors", schedule=None):
    for report_id in {report_ids}:
        PushMetricsRunSensor(
            task_id=f"wait_{{report_id}}", event="query.run", report_id=report_id, query_id=4711
        )
"""


@pytest.mark.slow
def test_differences_are_named(reports: Reports, run: Run, tmp_path: Path) -> None:
    parameters: dict[str, dict[str, Any]] = {
        "month": {"type": "integer", "required": True},
        "region": {"type": "text", "default": "EMEA", "choices": ["EMEA", "APAC"]},
    }
    report = reports.add("Compared", parameters)
    for number, arguments in enumerate(DIFFERENCES):
        write_dag(tmp_path / f"dag_{number}.py", report["id"], arguments)
    disabled = reports.add("Disabled", orders="SELECT 1 AS n")
    reports.request("PUT", f"webhook/{disabled['webhook']['id']}", {"active": False})
    write_dag(tmp_path / "disabled.py", disabled["id"], "", SAVE)
    write_dag(tmp_path / "unknown.py", 4711, "")
    without_queries = reports.add("Without queries")["id"]
    (tmp_path / "sensors.py").write_text(SENSORS.format(report_ids=[without_queries]), "utf-8")
    ended = run("dag", "check", ".")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    said = {f"dag_{number}.run_report": text for number, text in enumerate(DIFFERENCES.values())}
    said |= {
        "disabled.run_report": f"the trigger of report {disabled['id']} is disabled",
        "disabled.save": "has no query 'gone'; it has 'orders'",
        "unknown.run_report": "there is no report 4711",
        f"sensors.wait_{without_queries}": "has no query with the id 4711; it has none",
    }
    lines = [line for line in ended.stdout.splitlines() if line.startswith("DIFFERS")]
    for task, text in said.items():
        assert [line for line in lines if task in line and text.format(id=report["id"]) in line], task


@pytest.mark.slow
def test_what_cannot_be_checked_is_no_success(reports: Reports, run: Run, tmp_path: Path) -> None:
    report = reports.add("Same", {"month": {"type": "integer", "required": True}})
    write_dag(tmp_path / "same.py", report["id"], "parameters={'month': '{{ params.month }}'}")
    assert run("dag", "check", "same.py").returncode == 0
    write_dag(tmp_path / "template.py", "{{ params.month }}", "")
    (tmp_path / "broken.py").write_text("from airflow import DAG\nimport nothing_like_this\n", "utf-8")
    (tmp_path / "empty").mkdir()
    ended = run("dag", "check", "template.py", "broken.py")
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert "its report is known only in a run" in ended.stdout
    assert "nothing_like_this" in ended.stdout
    ended = run("dag", "check", "empty")
    assert (ended.returncode, "there is no task" in ended.stdout) == (2, True), ended.stdout
    closed = '{"conn_type": "pushmetrics", "host": "http://127.0.0.1:1", "password": "x"}'
    ended = run("dag", "check", "same.py", AIRFLOW_CONN_PUSHMETRICS_DEFAULT=closed)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert "could not connect" in ended.stdout


OF_A_QUERY = """PushMetricsRunSensor(task_id="wait", event="query.run", query_id=7)"""


@pytest.mark.slow
def test_trigger_beyond_the_first_page_is_compared_beside_a_sensor_of_a_query(
    reports: Reports, run: Run, tmp_path: Path
) -> None:
    other = reports.add("With many triggers")["id"]
    for _ in range(100):
        reports.request("POST", "webhook/", {"report_id": other})
    report = reports.add("With the last trigger")
    write_dag(tmp_path / "last.py", report["id"], "", OF_A_QUERY)
    ended = run("dag", "check", "last.py")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    reports.request("PUT", f"webhook/{report['webhook']['id']}", {"active": False})
    ended = run("dag", "check", "last.py")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert f"the trigger of report {report['id']} is disabled" in ended.stdout


ANY_REPORT = """
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor

with DAG("any_report", schedule=None):
    PushMetricsRunSensor(task_id="wait")
"""


@pytest.mark.slow
@needs_dag_test
def test_task_that_fails_early_logs_nothing_about_links(run: Run, airflow_home: Path) -> None:
    path = airflow_home / "dags" / "fails_early.py"
    write_dag(path, 4711, "")
    ended = run(path, "{}", code=RUN_DAG)
    assert "STATE failed" in ended.stdout, ended.stdout + ended.stderr
    said = " ".join((ended.stdout + ended.stderr).split())  # in Airflow 3.0 lines have 80 characters
    assert "has no trigger token for report '4711'" in said
    assert "XCom not found" not in said


def write_team(folder: Path, report_id: int, parameter: str) -> None:
    """Write a Dags folder whose Dag takes its parameters from a module beside it."""
    folder.mkdir()
    (folder / "common.py").write_text(f"PARAMETERS = {{{parameter!r}: 1}}\n", "utf-8")
    path = folder / f"{folder.name}.py"
    write_dag(path, report_id, "parameters=PARAMETERS")
    path.write_text("from common import PARAMETERS\n" + path.read_text("utf-8"), "utf-8")


@pytest.mark.slow
def test_dags_import_modules_of_their_own_folder_as_in_airflow(
    reports: Reports, run: Run, tmp_path: Path
) -> None:
    report = reports.add("Team", {"month": {"type": "integer"}})
    write_team(tmp_path / "good", report["id"], "month")
    write_team(tmp_path / "bad", report["id"], "orign")
    ended = run("dag", "check", "good/good.py", "bad")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    (line,) = [line for line in ended.stdout.splitlines() if ".run_report" in line]
    assert "bad.run_report" in line
    assert "has no parameter 'orign'" in line


LEAVES_PROCESS = """
import pathlib, subprocess
left = subprocess.Popen(["sleep", "900"])
pathlib.Path("left.pid").write_text(str(left.pid))
"""


@pytest.mark.slow
def test_check_that_compared_nothing_is_no_success_and_waits_for_no_process_that_a_dag_file_leaves_behind(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "leaves.py").write_text(ANY_REPORT + LEAVES_PROCESS, "utf-8")
    ended = run("dag", "check", "leaves.py")
    os.kill(int((tmp_path / "left.pid").read_text("utf-8")), signal.SIGKILL)  # it still runs
    assert (ended.returncode, "0 tasks" in ended.stdout) == (2, True), ended.stdout + ended.stderr
    assert "no task that names a report" in ended.stdout


@pytest.mark.slow
def test_file_is_overwritten_by_force_by_a_dag_in_which_defaults_mean_what_they_mean_in_the_report(
    reports: Reports, run: Run, tmp_path: Path
) -> None:
    parameters: dict[str, dict[str, Any]] = {
        "names": {"type": "text", "multiple": True, "default": "a, b"},
        "months": {"type": "integer", "multiple": True, "default": "[1, 2]"},
        "none": {"type": "text", "multiple": True, "default": " "},
        "amount": {"type": "number", "default": "12345678901234567.89", "choices": ["12345678901234567.890"]},
    }
    report = reports.add("Texts", parameters)
    (tmp_path / "texts.py").write_text("mine", "utf-8")
    refused = run("dag", "new", str(report["id"]), "--output", "texts.py")
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert (tmp_path / "texts.py").read_text("utf-8") == "mine"
    written = run("dag", "new", str(report["id"]), "--output", "texts.py", "--force")
    assert written.returncode == 0, written.stderr
    values = read_params(ast.parse((tmp_path / "texts.py").read_text("utf-8")))
    assert values == {"names": ["a", "b"], "months": [1, 2], "none": None, "amount": "12345678901234567.89"}
    assert "parameter 'amount': its default or a choice is no number of JSON" in written.stderr
    checked = run("dag", "check", "texts.py")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def read_params(source: ast.Module) -> dict[str, Any]:
    """Read the defaults of the Params in the source of a Dag."""
    (params,) = [
        node.value for node in ast.walk(source) if isinstance(node, ast.keyword) and node.arg == "params"
    ]
    assert isinstance(params, ast.Dict)
    names = [ast.literal_eval(key) for key in params.keys if key is not None]
    calls = [value for value in params.values if isinstance(value, ast.Call)]
    return {name: ast.literal_eval(call.args[0]) for name, call in zip(names, calls, strict=True)}


BLOCKS: dict[str, list[dict[str, Any]]] = {
    "1": [{"type": "sql", "name": "orders", "uid": "a"}],
    "2": [{"type": "sql", "name": "orders", "uid": "a", "query_id": 4711}, {"type": "sql", "name": "x"}],
    "3": [{"type": "parameter", "name": "month", "uid": "deleted"}],
    "4": [{"type": "parameter", "name": "month"}],
}


@pytest.mark.slow
def test_server_that_cannot_be_reached_is_tried_once_for_all_reports(run: Run, tmp_path: Path) -> None:
    for number in range(4):
        write_dag(tmp_path / f"dag_{number}.py", number + 1, "parameters={'month': 1}")
    attempts: list[object] = []

    def hang_up(server: socket.socket) -> None:
        with suppress(OSError):  # it is closed at the end
            while True:
                connection, _ = server.accept()
                connection.close()
                attempts.append(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        listener = threading.Thread(target=hang_up, args=(server,))
        listener.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        connection = json.dumps({"conn_type": "pushmetrics", "host": url, "password": "a-token"})
        ended = run("dag", "check", ".", AIRFLOW_CONN_PUSHMETRICS_DEFAULT=connection)
        server.shutdown(socket.SHUT_RDWR)
        listener.join()
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert ended.stdout.count("UNCHECKED") >= 4
    assert len(attempts) == DEFAULT_POLICY.attempts


async def show_report(request: Request) -> Response:
    number = request.path_params["report"]
    row = {"id": int(number), "name": "Of another server", "blocks": BLOCKS[number]}
    return JSONResponse({"result": row}) if number in BLOCKS else JSONResponse({"message": "none"}, 404)


async def exchange(request: Request) -> Response:
    return JSONResponse({"access_token": "a-jwt-0123456789"})


async def show_nothing(request: Request) -> Response:
    return JSONResponse({"message": "Not found"}, 404)


@pytest.mark.slow
def test_what_another_server_does_not_list_is_unchecked(run: Run, tmp_path: Path) -> None:
    (tmp_path / "sensors.py").write_text(SENSORS.format(report_ids=[1, 2, 3, 4]), "utf-8")
    with serve_http() as server:
        routes = [
            Route("/api/v1/security/exchange", exchange, methods=["POST"]),
            Route("/api/v1/report/{report}", show_report),
            Route("/{anything:path}", show_nothing),
        ]
        server.app = Starlette(routes=routes)
        connection = json.dumps({"conn_type": "pushmetrics", "host": server.url, "password": API_TOKEN})
        ended = run("dag", "check", "sensors.py", AIRFLOW_CONN_PUSHMETRICS_DEFAULT=connection)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    lines = [line for line in ended.stdout.splitlines() if line.startswith("UNCHECKED")]
    found = {number: [line for line in lines if f"wait_{number}:" in line] for number in (1, 2, 3, 4)}
    assert "does not list the ids of all queries" in found[1][0]
    assert found[2] == []
    assert "the Parameter block 'month' cannot be read" in found[3][0]
    assert "does not return the uid of the Parameter block 'month'" in found[4][0]
    assert "there is no report" not in ended.stdout
