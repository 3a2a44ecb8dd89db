"""The alert rules and the dashboard: loaded by their own programs, and fed by real processes."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.fakes.deployment_tools import ROOT, find_program, run_with_tools
from tests.fakes.receiver_requests import REPORT_RUN
from tests.fakes.receiver_server import READER_TOKEN, ReceiverServer, start_receiver
from tests.fakes.service_process import find_free_port, run_worker
from tests.fakes.waiting import LIMIT_SECONDS, wait_until

MONITORING = ROOT / "deploy" / "monitoring"
SELECTOR = re.compile(r"pushmetrics_\w+(?:\{[^}]*\})?")

READ_DASHBOARD = """
import json, sys
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

plugins.register_default_plugins()
with open(sys.argv[1], "rb") as file:
    print(JSONEncoder().encode(Dashboard.from_json(json.load(file))))
"""


def read_dashboard() -> dict[str, Any]:
    dashboard: dict[str, Any] = json.loads((MONITORING / "grafana-dashboard.json").read_text("utf-8"))
    return dashboard


def list_dashboard_expressions() -> list[str]:
    targets = [target for panel in read_dashboard()["panels"] for target in panel.get("targets", ())]
    return [target["expr"].replace("$__rate_interval", "1m") for target in targets]


def list_alert_expressions() -> list[str]:
    groups = yaml.safe_load((MONITORING / "alerts.yaml").read_text("utf-8"))["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def run_promtool(*arguments: str) -> None:
    command = [find_program("promtool", "prometheus"), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=MONITORING, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_rules_and_the_example_of_its_configuration() -> None:
    run_promtool("check", "rules", "alerts.yaml")
    run_promtool("check", "config", "--syntax-only", "prometheus.yaml")


def test_alerts_fire_on_faults_and_on_nothing_else() -> None:
    run_promtool("test", "rules", "alerts_test.yaml")


def test_every_alert_is_tested() -> None:
    tests = (MONITORING / "alerts_test.yaml").read_text("utf-8")
    groups = yaml.safe_load((MONITORING / "alerts.yaml").read_text("utf-8"))["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"]}
    assert alerts == set(re.findall(r'alertname="(\w+)"', tests))


def list_losses(written: Any, read: Any, where: str = "") -> list[str]:
    """List what is in the file and not in what was read from it."""
    if isinstance(written, dict):
        keys = [name for name in written if name not in read]
        kept = [name for name in written if name in read]
        return [f"{where}/{key}" for key in keys] + [
            loss for name in kept for loss in list_losses(written[name], read[name], f"{where}/{name}")
        ]
    if isinstance(written, list):
        assert len(written) == len(read)
        return [loss for n in range(len(read)) for loss in list_losses(written[n], read[n], f"{where}/{n}")]
    return [] if written == read else [where]


@pytest.mark.slow
def test_grafana_s_own_types_know_all_of_the_dashboard() -> None:
    """What they do not know, they leave out."""
    written = read_dashboard()
    read = json.loads(run_with_tools(READ_DASHBOARD, str(MONITORING / "grafana-dashboard.json")))
    # Empty or false is the default of both.
    defaults: tuple[object, ...] = ([], {}, None, False, 0)
    losses = list_losses(written, read)
    assert [loss for loss in losses if look_up(written, loss) not in defaults] == []


def look_up(document: Any, path: str) -> Any:
    for name in path.split("/")[1:]:
        document = document[int(name) if isinstance(document, list) else name]
    return document


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in read_dashboard()["panels"]:
        place = panel["gridPos"]
        columns = range(place["x"], place["x"] + place["w"])
        cells = {(x, y) for x in columns for y in range(place["y"], place["y"] + place["h"])}
        assert max(columns) < 24
        assert not cells & taken
        taken |= cells


@contextmanager
def run_prometheus(folder: Path, *targets: tuple[str, int]) -> Iterator[httpx.Client]:
    """Run Prometheus with our rules on jobs of the example, here with these ports."""
    program, port = find_program("prometheus", "prometheus"), find_free_port()
    config = yaml.safe_load((MONITORING / "prometheus.yaml").read_text("utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(MONITORING / "alerts.yaml")]
    (folder / "reader_token").write_text(READER_TOKEN, "utf-8")
    ports = dict(targets)
    assert {job["job_name"] for job in config["scrape_configs"]} == set(ports)
    for job in config["scrape_configs"]:
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": [f"127.0.0.1:{ports[job['job_name']]}"]}]
        if "authorization" in job:
            job["authorization"]["credentials_file"] = str(folder / "reader_token")
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config), "utf-8")
    command = [
        program,
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
    ]
    with (
        (folder / "prometheus.log").open("wb") as log,
        subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log
        ) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=LIMIT_SECONDS, trust_env=False) as client,
    ):
        try:
            yield client
        finally:
            process.terminate()


def query(prometheus: httpx.Client, expression: str) -> list[Any]:
    try:
        answer = prometheus.get("/api/v1/query", params={"query": expression})
    except httpx.TransportError:
        return []
    if answer.status_code == 503:
        return []  # it is starting
    found: list[Any] = answer.raise_for_status().json()["data"]["result"]
    return found


def list_states(prometheus: httpx.Client) -> set[tuple[str, str]]:
    rules = prometheus.get("/api/v1/rules").json()["data"]["groups"]
    return {(rule["health"], rule["state"]) for group in rules for rule in group["rules"]}


def use(receiver: ReceiverServer) -> None:
    """Let it have an event, and a consumer."""
    httpx.post(receiver.delivery_url, json=REPORT_RUN, timeout=LIMIT_SECONDS).raise_for_status()
    with receiver.open_reader() as reader:
        reader.put("/consumers/airflow", json={"position": 1}).raise_for_status()


@pytest.mark.slow
@pytest.mark.postgres
def test_real_processes_serve_every_metric_that_alerts_and_dashboard_name(
    tmp_path: Path, postgres_url: str
) -> None:
    port = find_free_port()
    with ExitStack() as stack:
        options = ("--database-url", postgres_url, "--health-port", str(port))
        stack.enter_context(run_worker(tmp_path / "data", *options))
        receiver = stack.enter_context(start_receiver(f"sqlite:///{tmp_path / 'inbox.db'}"))
        use(receiver)
        receiver_port = httpx.URL(receiver.url).port or 0
        prometheus = stack.enter_context(
            run_prometheus(tmp_path, ("pushmetrics-receiver", receiver_port), ("pushmetrics-service", port))
        )
        expressions = list_dashboard_expressions()
        selectors = {
            found for one in [*expressions, *list_alert_expressions()] for found in SELECTOR.findall(one)
        }
        assert len(selectors) >= 15
        for expression in [*sorted(selectors), *expressions]:
            wait_until(lambda: query(prometheus, expression), expression)  # noqa: B023 - called at once
        # What was missing while the processes started may still be pending.
        wait_until(lambda: list_states(prometheus) == {("ok", "inactive")}, "alerts at rest")
