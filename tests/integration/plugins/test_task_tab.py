"""The tab of a task instance: Airflow's own tables and checks, and a PushMetrics over HTTP."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import warnings
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import httpx
import pytest
from airflow import DAG, configuration
from airflow.models.dagrun import DagRun
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.providers.common.compat.sdk import BaseOperator
from sqlalchemy import select
from starlette.responses import JSONResponse, Response

from airflow_provider_pushmetrics.assets.pushmetrics import build_run_asset
from airflow_provider_pushmetrics.links.pushmetrics import PushMetricsRunLink
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator
from airflow_provider_pushmetrics.plugins.asset_updates import fetch_assets, register
from airflow_provider_pushmetrics.receiver.inbox.records import StoredEvent
from tests.fakes.airflow_tables import AirflowTables
from tests.fakes.loopback import LoopbackServer
from tests.fakes.pushmetrics import FakePushMetrics, FakeRun
from tests.fakes.service_process import find_free_port
from tests.fakes.waiting import LIMIT_SECONDS

with warnings.catch_warnings():
    # Airflow's app brings Starlette's test client, which says that httpx will be httpx2 one day.
    warnings.simplefilter("ignore")
    from airflow.api_fastapi.app import create_auth_manager
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.api_fastapi.core_api.security import get_user

    from airflow_provider_pushmetrics.plugins.task_tab.app import TASK_FILES, build_task_tab

# What the tab reads of Airflow's database is little: make test-slow reads it in PostgreSQL too.
KINDS = ("sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.slow]))
pytestmark = pytest.mark.parametrize("tables_url", KINDS, indirect=True)

DAG_ID = "runs_a_report"
NDJSON = "application/x-ndjson"
RENDERED = MappingProxyType({"report_id": "1", "pushmetrics_conn_id": "pushmetrics_default"})
UID = "rEp1"
Visit = Callable[..., Any]


class StrictAuthManager(SimpleAuthManager):
    """Refuses the entities of a Dag that are named in a user's name, such as ``no-xcom``."""

    def is_authorized_dag(
        self, *, method: Any, user: Any, access_entity: Any = None, details: Any = None
    ) -> bool:
        entity = access_entity.value.lower() if access_entity else ""
        return bool(user.username != f"no-{entity}" and details.id == DAG_ID)


@pytest.fixture(autouse=True)
def connect_with_rows(pushmetrics: FakePushMetrics, monkeypatch: pytest.MonkeyPatch) -> None:
    pushmetrics.results[NDJSON] = Response(b'{"carrier":"UA","share":1.10}\n' * 12, media_type=NDJSON)
    connect(monkeypatch, pushmetrics)


def connect(monkeypatch: pytest.MonkeyPatch, fake: FakePushMetrics, **fields: Any) -> None:
    connection = {"conn_type": "pushmetrics", "host": fake.url, "password": fake.api_token, **fields}
    monkeypatch.setenv("AIRFLOW_CONN_PUSHMETRICS_DEFAULT", json.dumps(connection))


@pytest.fixture(name="run_id")
def make_dag_run(tables: AirflowTables) -> str:
    """A Dag run of a task that runs a report, and of another one."""
    asset = build_run_asset("delays", report_id=1, updated_by="api_server")
    with DAG(DAG_ID, schedule=[asset], catchup=False) as dag:
        PushMetricsTriggerReportOperator(task_id="run_report", report_id="{{ params.report }}")
        BaseOperator(task_id="other")
    tables.process_dags(dag)
    (stored,) = fetch_assets()
    register(stored, StoredEvent(1, "demo", datetime.now(UTC), None, b'{"event": "report.run"}'))
    tables.schedule()
    with tables.sessions() as session:
        return session.scalars(select(DagRun.run_id)).one()


@dataclass
class ReportTask:
    """The task that runs a report, in a Dag run of Airflow's tables."""

    tables: AirflowTables
    pushmetrics: FakePushMetrics

    def keep(self, link: str, fields: Mapping[str, Any] = RENDERED) -> None:
        """Keep what a task that has run keeps: a link to PushMetrics, and its rendered fields."""
        with self.tables.sessions.begin() as session:
            ti = session.scalars(select(TaskInstance).filter_by(task_id="run_report")).one()
            ti.state = "running"
            where: dict[str, Any] = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id}
            session.flush()
            url = link if "://" in link else f"{self.pushmetrics.url}{link}"
            XComModel.set(**where, key=PushMetricsRunLink.build_key(), value=url, session=session)
            if fields:
                rendered = RenderedTaskInstanceFields(
                    ti, render_templates=False, rendered_fields=dict(fields)
                )
                session.add(rendered)

    def keep_run(self, report_id: str = "1", fields: Mapping[str, Any] = RENDERED) -> FakeRun:
        """Start a run, and keep its link as one of report 1."""
        run = self.pushmetrics.start_run(report_id)
        self.keep(f"/api/reports/1/run/{run.id}", fields)
        return run


@pytest.fixture(name="task")
def make_task(run_id: str, tables: AirflowTables, pushmetrics: FakePushMetrics) -> ReportTask:
    return ReportTask(tables, pushmetrics)


@pytest.fixture
def timeout_seconds() -> float:
    """How long the tab may look; a test of what is slow gives less."""
    return LIMIT_SECONDS


@pytest.fixture(name="visit")
async def make_visit(
    run_id: str, timeout_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Visit]:
    manager = f"{StrictAuthManager.__module__}.{StrictAuthManager.__name__}"
    monkeypatch.setenv("AIRFLOW__CORE__AUTH_MANAGER", manager)
    create_auth_manager()
    page = build_task_tab(timeout_seconds=timeout_seconds)

    async def visit(
        path: str, user: str | None = "ada", *, task_id: str = "run_report", **query: Any
    ) -> httpx.Response:
        page.dependency_overrides.clear()
        if user is not None:
            found = SimpleAuthManagerUser(username=user, role="ADMIN")
            page.dependency_overrides[get_user] = lambda: found
        task = {"dag_id": DAG_ID, "run_id": run_id, "task_id": task_id}
        transport = httpx.ASGITransport(page)
        async with httpx.AsyncClient(transport=transport, base_url="http://airflow") as client:
            return await client.get(path, params={**task, **query})

    yield visit
    monkeypatch.undo()
    create_auth_manager()


async def test_tab_shows_the_run_of_the_task(task: ReportTask, visit: Visit) -> None:
    run = task.keep_run()
    answer = await visit("/run")
    shown = answer.json()
    assert (shown["state"], shown["is_final"]) == ("running", False)
    assert (shown["run"]["id"], shown["run"]["status"]) == (str(run.id), "success")
    (block,) = shown["run"]["blocks"]
    assert (block["name"], block["status"], block["query_id"]) == ("by_carrier", "success", 1)
    assert [line["message"] for line in shown["run"]["log"]] == ["Block by_carrier began"]
    assert task.pushmetrics.api_token not in answer.text
    assert answer.headers["cache-control"] == "no-store"


async def test_unfinished_run_is_shown_without_outputs(task: ReportTask, visit: Visit) -> None:
    task.keep_run().looks = 1
    shown = (await visit("/run")).json()["run"]
    assert (shown["status"], shown["is_finished"]) == ("running", False)
    assert [block["status"] for block in shown["blocks"]] == ["not_run"]


async def test_rows_are_shown_as_the_api_writes_them(task: ReportTask, visit: Visit) -> None:
    task.keep_run()
    rows = (await visit("/rows", query_id=1)).json()
    assert rows["rows"] == [["UA", "1.10"]] * 12
    assert rows["columns"] == [{"name": "carrier", "is_number": False}, {"name": "share", "is_number": True}]
    assert (rows["has_more"], rows["is_truncated"]) == (False, False)


async def test_rows_of_a_query_run_are_found_by_its_own_link(task: ReportTask, visit: Visit) -> None:
    task.keep("/api/reports/1/queries/7/run/3")
    assert (await visit("/run")).json()["run"]["query_id"] == "7"
    assert len((await visit("/rows")).json()["rows"]) == 12
    assert task.pushmetrics.seen[-1].path == "/api/reports/1/queries/7/run/3"


async def test_chart_is_an_image_that_can_run_nothing(task: ReportTask, visit: Visit) -> None:
    run = task.keep_run()
    absent = await visit("/chart", block_uid="bL3")
    assert absent.status_code == 502
    path = f"/app/results/run/{run.id}/bL3/chart.svg"
    task.pushmetrics.results[path] = Response(b"<svg/>", media_type="image/svg+xml")
    image = await visit("/chart", block_uid="bL3")
    assert (image.status_code, image.content) == (200, b"<svg/>")
    assert "sandbox" in image.headers["content-security-policy"]
    task.pushmetrics.results[path] = Response(b"<html>", media_type="text/html")
    assert (await visit("/chart", block_uid="bL3")).status_code == 502


async def test_task_without_a_run_says_so(task: ReportTask, visit: Visit) -> None:
    assert "has no run of PushMetrics yet" in (await visit("/run")).json()["message"]
    other = (await visit("/run", task_id="other")).json()
    assert "does not run or wait for a PushMetrics report" in other["message"]
    assert (await visit("/run", task_id="absent")).status_code == 404
    assert (await visit("/rows", query_id=1)).status_code == 404
    assert task.pushmetrics.seen == []


async def test_connection_is_known_before_the_fields_are_rendered(task: ReportTask, visit: Visit) -> None:
    run = task.keep_run(fields={})
    assert (await visit("/run")).json()["run"]["id"] == str(run.id)


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("{url}/api/reports/1/run/99", "Run 99 of report '1' no longer exists in PushMetrics"),
        ("{url}/api/reports/2/run/1", "leads to report '2', but the task names report '1'"),
        ("https://elsewhere.example.com/api/reports/1/run/1", "the API token is not sent there"),
    ],
)
async def test_run_that_is_not_the_task_s_is_not_shown(
    task: ReportTask, visit: Visit, link: str, message: str
) -> None:
    task.pushmetrics.start_run()
    task.keep(link.format(url=task.pushmetrics.url))
    for path in ("/run", "/rows"):
        answer = await visit(path, query_id=1)
        assert answer.status_code == 502
        assert message.lower() in answer.json()["message"].lower()


async def test_run_of_another_report_is_not_shown(task: ReportTask, visit: Visit) -> None:
    """Another PushMetrics at the same address counts its runs from 1 again."""
    task.keep_run("2")
    for path in ("/run", "/rows", "/chart"):
        answer = await visit(path, query_id=1, block_uid="bL3")
        assert "is of another report than '1'" in answer.json()["message"]


@pytest.mark.parametrize("named", ["01", "{uid}", "1"])
async def test_report_is_the_same_by_number_and_by_uid(task: ReportTask, visit: Visit, named: str) -> None:
    run = task.keep_run(fields={**RENDERED, "report_id": named.format(uid=UID)})
    assert (await visit("/run")).json()["run"]["id"] == str(run.id)
    assert len((await visit("/rows", query_id=1)).json()["rows"]) == 12


@pytest.mark.parametrize("named", ["1", UID])
@pytest.mark.parametrize("kind", ["report_id", "report_uid"])
async def test_report_of_a_run_that_has_one_of_its_ids_is_found(
    task: ReportTask, visit: Visit, kind: str, named: str
) -> None:
    task.pushmetrics.names_report = (kind,)
    task.pushmetrics.reports = 2
    run = task.keep_run(fields={**RENDERED, "report_id": named})
    assert (await visit("/run")).json()["run"]["id"] == str(run.id)
    assert len((await visit("/rows", query_id=1)).json()["rows"]) == 12
    task.pushmetrics.runs[0].report_id = "2"
    for path in ("/run", "/rows", "/chart"):
        answer = await visit(path, query_id=1, block_uid="bL3")
        assert answer.status_code == 502
        assert "is of another report than '1'" in answer.json()["message"]


async def test_run_whose_report_must_not_be_read_is_not_shown(task: ReportTask, visit: Visit) -> None:
    task.pushmetrics.names_report = ("report_uid",)
    task.pushmetrics.reports = 0
    task.keep_run()
    answer = await visit("/run")
    assert answer.status_code == 502
    assert "must not read that report" in answer.json()["message"]


@pytest.mark.parametrize("link", ["/api/reports/2/run/1", "/api/reports/2/queries/7/run/1"])
async def test_forged_link_does_not_show_a_run_of_another_report_than_the_uid_s(
    task: ReportTask, visit: Visit, link: str
) -> None:
    task.pushmetrics.start_run("2")
    task.keep(link, {**RENDERED, "report_id": UID})
    for path in ("/run", "/rows", "/chart"):
        answer = await visit(path, query_id=1, block_uid="bL3")
        assert answer.status_code == 502
        assert repr(UID) in answer.json()["message"]
    assert {seen.path for seen in task.pushmetrics.seen} <= {"/api/v1/noteflow_run/1"}


async def test_missing_token_and_outage_are_sentences(
    task: ReportTask, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    task.keep_run()
    connect(monkeypatch, task.pushmetrics, password="")
    assert "has no API token" in (await visit("/run")).json()["message"]
    connect(monkeypatch, task.pushmetrics, password="wrong-token-of-a-test")
    answer = await visit("/run")
    assert answer.status_code == 502
    assert "401" in answer.json()["message"]
    assert "wrong-token-of-a-test" not in answer.text
    monkeypatch.delenv("AIRFLOW_CONN_PUSHMETRICS_DEFAULT")
    assert (
        "connection 'pushmetrics_default' does not exist" in (await visit("/run")).json()["message"].lower()
    )


async def test_service_that_is_away_is_a_sentence(
    task: ReportTask, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"http://127.0.0.1:{find_free_port()}"
    task.keep(f"{url}/api/reports/1/run/1")
    connect(monkeypatch, task.pushmetrics, host=url)
    answer = await visit("/run")
    assert answer.status_code == 502
    assert "could not connect" in answer.json()["message"].lower()


@pytest.mark.slow
@pytest.mark.parametrize("timeout_seconds", [5.0])
async def test_slow_service_ends_in_time_and_blocks_nobody(
    task: ReportTask,
    server: LoopbackServer,
    visit: Visit,
) -> None:
    task.keep_run()

    async def hang(*_: Any) -> None:
        await asyncio.sleep(60)

    server.app = hang
    gaps: list[float] = []

    async def watch() -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.05)
            gaps.append(time.monotonic() - began)

    watcher = asyncio.create_task(watch())
    answer = await visit("/run")
    watcher.cancel()
    assert (answer.status_code, "within 5 s" in answer.json()["message"]) == (502, True)
    assert len(gaps) >= 10  # the loop went on while the tab waited


class HangingBackend:
    """A secrets backend that answers when the test is over."""

    def __init__(self) -> None:
        self.is_over = threading.Event()
        self.hanging = 0

    def get_connection(self, conn_id: str) -> None:
        self.hanging += 1
        self.is_over.wait(LIMIT_SECONDS)


@pytest.mark.parametrize("timeout_seconds", [5.0])
async def test_hanging_secrets_backend_leaves_the_threads_of_the_api_server_free(
    task: ReportTask, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    task.keep("/api/reports/1/run/1")
    backend = HangingBackend()
    monkeypatch.setattr(configuration, "ensure_secrets_loaded", lambda: [backend])
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2, "default"))
    try:
        answers = await asyncio.gather(*(visit("/run") for _ in range(6)))
        assert [answer.status_code for answer in answers] == [502] * 6
        assert 2 < backend.hanging <= 4
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "free"), LIMIT_SECONDS / 2) == "free"
    finally:
        backend.is_over.set()


async def test_log_has_no_secret_of_a_failing_backend_or_of_the_link(
    task: ReportTask,
    visit: Visit,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> None:
        raise OSError("vault token=s3cret-of-vault")

    task.keep("/api/reports/1/run/1?token=s3cret-of-link")
    monkeypatch.setattr(configuration, "ensure_secrets_loaded", fail)
    answer = await visit("/run")
    assert (answer.status_code, "OSError" in answer.json()["message"]) == (502, True)
    assert "task_id='run_report'" in caplog.text
    assert "OSError" in caplog.text
    assert "s3cret" not in caplog.text + answer.text


async def test_hostile_texts_are_answered_as_texts(task: ReportTask, visit: Visit) -> None:
    task.keep_run()
    row = (
        json.dumps({"<b>\udfff": "\ud800\0<script>", "deep": {"n": 0.10}}).encode().replace(b"0.1}", b"0.10}")
    )
    task.pushmetrics.results[NDJSON] = Response(row, media_type=NDJSON)
    answer = await visit("/rows", query_id=1)
    assert answer.json()["rows"] == [["��<script>", '{"n": 0.10}']]


async def test_every_route_needs_a_login(visit: Visit) -> None:
    for path in [*(f"/{name}" for name in TASK_FILES), "/run", "/rows", "/chart"]:
        assert (await visit(path, None, query_id=1, block_uid="x")).status_code == 401, path


@pytest.mark.parametrize("user", ["no-task_instance", "no-xcom", "no-task_logs"])
async def test_tab_needs_the_rights_to_read_what_it_shows(task: ReportTask, visit: Visit, user: str) -> None:
    task.keep_run()
    for path in ("/run", "/rows", "/chart"):
        answer = await visit(path, user, query_id=1, block_uid="x")
        assert answer.status_code == 403, path
    assert task.pushmetrics.seen == []


async def test_dag_that_is_checked_is_the_dag_that_is_shown(task: ReportTask, visit: Visit) -> None:
    """A second dag_id, or Airflow's "~" for all Dags, does not lead around the check."""
    task.keep_run()
    for ids in (["other"], [DAG_ID, "other"], ["~"], [DAG_ID, "~"]):
        assert (await visit("/run", dag_id=ids)).status_code == 403, ids
    assert (await visit("/run", dag_id=["other", DAG_ID])).json()["run"]["id"] == "1"


async def test_page_and_what_it_needs_are_served_under_a_strict_policy(visit: Visit) -> None:
    for path, (_, media_type) in TASK_FILES.items():
        answer = await visit(f"/{path}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(media_type)
        assert "default-src 'none'; script-src 'self'" in answer.headers["content-security-policy"]
    assert '="/' not in (await visit("/")).text  # works under any prefix


async def test_server_without_ndjson_gives_json(task: ReportTask, visit: Visit) -> None:
    task.keep_run()
    del task.pushmetrics.results[NDJSON]
    body = {"columns": [], "row_count": 30, "data": [{"n": 2**53 + 1}] * 30}
    task.pushmetrics.results["application/json"] = JSONResponse(body)
    shown = (await visit("/rows", query_id=1)).json()
    assert (shown["rows"], shown["has_more"]) == ([["9007199254740993"]] * 20, True)


async def test_failed_query_of_a_server_without_ndjson_is_no_empty_table(
    task: ReportTask, visit: Visit
) -> None:
    task.keep_run()
    del task.pushmetrics.results[NDJSON]
    body = {"status": "failed", "error": "division by zero", "columns": [], "data": []}
    task.pushmetrics.results["application/json"] = JSONResponse(body)
    answer = await visit("/rows", query_id=1)
    assert answer.status_code == 502
    assert "has the status failed: division by zero" in answer.json()["message"]


async def test_parameters_that_airflow_masks_are_masked(task: ReportTask, visit: Visit) -> None:
    run = task.keep_run()
    run.parameters = {"month": 5, "api_key": "s3cr3t-0123456789", "filter": {"password": "s3cr3t-0123456789"}}
    answer = await visit("/run")
    shown = answer.json()["run"]["parameters"]
    assert shown == {"month": "5", "api_key": '"***"', "filter": '{"password": "***"}'}
    assert "s3cr3t" not in answer.text


async def test_result_is_decoded_outside_the_event_loop_of_the_api_server(
    task: ReportTask, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    task.keep_run()
    del task.pushmetrics.results[NDJSON]
    body = {"columns": [], "data": [{"decoded": 1}] * 30}
    task.pushmetrics.results["application/json"] = JSONResponse(body)
    loads, threads = json.loads, []

    def note_thread(text: Any, **options: Any) -> Any:
        if b"decoded" in (text if isinstance(text, bytes) else b""):
            threads.append(threading.current_thread())
        return loads(text, **options)

    monkeypatch.setattr(json, "loads", note_thread)
    assert (await visit("/rows", query_id=1)).status_code == 200
    assert threads
    assert threading.current_thread() not in threads


async def test_outputs_with_more_blocks_than_are_shown_are_cut(task: ReportTask, visit: Visit) -> None:
    run = task.keep_run()
    block = {"name": "by_carrier", "type": "sql", "status": "success", "row_count": 12}
    others = [{"name": f"b{number}", "type": "text", "status": "success"} for number in range(20_000)]
    queries = [
        {"query_id": number, "query_name": f"q{number}", "query_result": "x"} for number in range(20_000)
    ]
    outputs = {"run_id": run.id, "status": "success", "blocks": [*others, block], "queries": queries}
    task.pushmetrics.outputs_answers[run.id] = JSONResponse(outputs)
    blocks = (await visit("/run")).json()["run"]["blocks"]
    assert len(blocks) == 200
    assert (blocks[0]["name"], blocks[0]["status"]) == ("by_carrier", "success")
