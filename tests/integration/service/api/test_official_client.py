"""PushMetrics' own command line, unmodified, against a real ``pushmetrics service``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pm.cli import cli

from tests.fakes.service_process import API_TOKEN, ServiceProcess

CONFIG = """\
name: Through the client
blocks:
- name: who
  type: parameter
  content: {default: you}
- name: hello
  type: sql
  content: {database: flights, sql: "SELECT {{ who }} AS who"}
- name: broken
  type: sql
  content: {database: flights, sql: SELECT nope}
"""


@dataclass(frozen=True)
class Pm:
    """The command ``pm``, with nothing of this machine's own settings."""

    environment: dict[str, str]
    folder: Path
    token: str = API_TOKEN

    def call(self, *arguments: str, given: str | None = None, token: bool = True) -> str:
        """Run a command that must succeed in this process, and give what it prints."""
        environment = {**self.environment, "PM_API_TOKEN": self.token if token else None}
        ended = CliRunner().invoke(cli, arguments, input=given, env=environment)
        assert ended.exit_code == 0, f"{arguments}: {ended.output}{ended.exception!r}"
        return ended.stdout

    def call_installed(self, *arguments: str) -> str:
        """Run a command that must succeed by the installed script."""
        command = [str(Path(sys.executable).with_name("pm")), *arguments]
        environment = {**os.environ, **self.environment, "PM_API_TOKEN": self.token}
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    def read(self, *arguments: str, given: str | None = None) -> Any:
        """Run a command and read the JSON that it prints."""
        return json.loads(self.call("--json", *arguments, given=given))

    def wait(self, *arguments: str, until: Callable[[Any], bool]) -> Any:
        """Repeat a command until its answer is what is wanted."""
        deadline = time.monotonic() + 120
        while not until(answer := self.read(*arguments)):
            assert time.monotonic() < deadline, answer
            time.sleep(0.1)
        return answer

    def apply(self) -> dict[str, Any]:
        """Make the report of these tests again."""
        report: dict[str, Any] = self.read("report", "apply", "-", given=CONFIG)
        return report

    def run(self, report_uid: str) -> dict[str, Any]:
        """Run a report and give its run when it has ended."""
        uid = self.call("report", "run", report_uid).split()[-1]
        run: dict[str, Any] = self.wait(
            "run", "get", uid, until=lambda row: row["status"] in ("success", "failed")
        )
        return run


@pytest.fixture(scope="module")
def pm(served: ServiceProcess, tmp_path_factory: pytest.TempPathFactory) -> Pm:
    folder = tmp_path_factory.mktemp("pm")
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    environment = {
        **kept,
        "HOME": str(folder),
        "PM_CONFIG_HOME": str(folder),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        "PM_API_URL": f"http://127.0.0.1:{served.port}",
        "NO_COLOR": "1",
        "NO_PROXY": "*",
    }
    return Pm(environment, folder)


@pytest.mark.slow
def test_login_keeps_a_token_that_later_commands_use(pm: Pm) -> None:
    pm.call("login", "--token", given=API_TOKEN + "\n", token=False)
    assert "admin@localhost" in pm.call("whoami", token=False)
    pm.call("logout", token=False)


def test_whoami_and_lists_of_accounts(pm: Pm) -> None:
    assert "admin@localhost" in pm.call_installed("whoami")
    assert [row["name"] for row in pm.read("workspace", "list")] == ["Main Workspace"]
    assert pm.read("workspace", "current")["name"] == "Main Workspace"
    assert pm.read("user", "list")[0]["main_role"]["name"] == "Admin"
    assert [row["name"] for row in pm.read("role", "list")] == ["Admin", "User", "Guest"]
    assert "flights" in [row["database_name"] for row in pm.read("database", "list")]


def test_users_are_taken_in_given_roles_and_removed(pm: Pm) -> None:
    made = pm.read("user", "create", "ann@example.com", "--first-name", "Ann", "--role-id", "3")
    uid = next(row["uid"] for row in pm.read("user", "list") if row["email"] == "ann@example.com")
    assert "ann@example.com" in json.dumps(made)
    assert pm.read("user", "get", uid)["main_role"]["name"] == "Guest"
    assert pm.read("user", "set-role", uid, "user")["main_role"]["name"] == "User"
    pm.call("role", "assign", "Admin", uid)
    assert pm.read("user", "get", uid)["main_role"]["name"] == "Admin"
    pm.call("role", "revoke", "admin", uid)
    assert pm.read("user", "get", uid)["main_role"]["name"] == "Guest"
    again = pm.call("user", "create", "ann@example.com", "--skip-welcome-email")
    assert "Traceback" not in again
    pm.call("user", "delete", uid, "--yes")
    assert uid not in [row["uid"] for row in pm.read("user", "list")]


def test_workspace_is_listed_and_deleted_with_a_token_of_its_own(pm: Pm, served: ServiceProcess) -> None:
    assert pm.read("workspace", "create", "Second")["name"] == "Second"
    assert [row["name"] for row in pm.read("workspace", "list")] == ["Main Workspace"]
    made = served.client.post("/api/v1/workspace/", json={"name": "Third"}).json()
    third = replace(pm, token=made["token"])
    assert [(row["name"], row["is_active"]) for row in third.read("workspace", "list")] == [("Third", True)]
    third.call("workspace", "delete", made["result"]["uid"], "--yes")
    assert [row["name"] for row in pm.read("workspace", "list")] == ["Main Workspace"]


def test_database_is_looked_into(pm: Pm) -> None:
    assert pm.read("database", "schemas", "flights") == ["main"]
    assert "flights" in [row["name"] for row in pm.read("database", "tables", "flights", "main")]
    described = pm.read("database", "describe", "flights", "main", "flights")
    assert "dep_delay" in [column["name"] for column in described["columns"]]
    assert "dep_delay" in pm.call("database", "describe", "flights", "main", "flights")
    star = pm.call("database", "select-star", "flights", "main", "flights", "--limit", "3")
    assert star.split() == ["SELECT", "*", "FROM", "main.flights", "LIMIT", "3"]
    assert "exists=True" in pm.call("database", "exists", "flights", "main", "flights")
    found = pm.read("database", "search", "flights", "light")
    assert [row["name"] for row in found["results"]] == ["flights"]
    assert "lower" in pm.call("database", "functions", "flights", "--filter", "lower")


def test_reports_are_listed_shown_changed_and_deleted(pm: Pm) -> None:
    uid = pm.apply()["uid"]
    assert {"Departure delays", "Through the client"} <= {row["name"] for row in pm.read("report", "list")}
    assert pm.read("report", "get", uid)["name"] == "Through the client"
    pm.call("report", "update", uid, "--name", "Renamed")
    assert pm.read("report", "get", uid)["name"] == "Renamed"
    pm.call("report", "delete", uid, "--yes")
    assert uid not in [row["uid"] for row in pm.read("report", "list")]


def test_report_goes_out_as_yaml_and_comes_back(pm: Pm) -> None:
    uid = pm.apply()["uid"]
    text = pm.call("report", "yaml", uid)
    assert text.startswith("name: Through the client\n")
    file = pm.folder / "report.yaml"
    file.write_text(text.replace("SELECT nope", "SELECT 1 AS n").replace("name: broken", "name: fixed"))
    arguments = ("report", "apply", str(file), "--uid", uid)
    tried = pm.read(*arguments, "--dry-run")
    assert tried["would_change"] is True
    assert tried["summary"]["blocks_updated"] == ["fixed"]
    assert "fixed" in pm.call(*arguments, "--dry-run")
    pm.call(*arguments)
    assert "name: fixed" in pm.call("report", "yaml", uid)
    file.write_text("name: Through the client\nblocks: []\n")
    pm.call(*arguments, "--no-prune")
    assert "name: fixed" in pm.call("report", "yaml", uid)
    pm.call(*arguments)
    assert "blocks: []" in pm.call("report", "yaml", uid)


def test_run_is_followed_from_its_start_to_its_log(pm: Pm) -> None:
    uid = pm.apply()["uid"]
    run = pm.run(uid)
    assert (run["status"], run["report_uid"]) == ("failed", uid)
    assert [row["uid"] for row in pm.read("report", "runs", uid)] == [run["uid"]]
    listed = pm.read("run", "list", "--report", uid, "--status", "failed", "--last-days", "1", "--limit", "5")
    assert [row["uid"] for row in listed] == [run["uid"]]
    assert pm.read("run", "list", "--report", uid, "--status", "success") == []
    results = {row["name"]: row for row in pm.read("run", "results", run["uid"])}
    assert {name: row["status"] for name, row in results.items()} == {
        "who": "success",
        "hello": "success",
        "broken": "failed",
    }
    messages = [row["message"] for row in pm.read("run", "logs", run["uid"])]
    assert messages[0] == "the run begins"
    assert messages[-1] == "the run ends: failed"
    assert pm.read("run", "logs", run["flow_run_id"], "--limit", "1")[0]["message"] == "the run begins"
    assert len(pm.read("run", "logs", run["uid"], "--level", "ERROR")) == 1


def test_preview_is_sent_to_me(pm: Pm) -> None:
    uid = pm.apply()["uid"]
    assert pm.call("report", "run", uid, "--send-to-me").strip()


def test_webhook_is_made_shown_changed_and_deleted_and_starts_runs(pm: Pm, served: ServiceProcess) -> None:
    report = pm.read("report", "get", pm.apply()["uid"])
    token = "a-token-of-my-own-0123456789"
    more = json.dumps({"recipients": ["me@example.com"], "details": {"on": "failure"}})
    made = pm.read("webhook", "create", "--report-id", str(report["id"]), "--token", token, "--data", more)
    number = str(made["id"])
    assert made["id"] in [row["id"] for row in pm.read("webhook", "list")]
    assert pm.read("webhook", "get", number)["token"] == token
    url = f"/api/v1/report/{report['id']}/webhook"
    assert served.client.post(url, params={"token": token}).json()["success"] is True
    pm.call("webhook", "update", number, "--inactive")
    assert served.client.post(url, params={"token": token}).status_code == 403
    pm.call("webhook", "update", made["uid"], "--active", "--token", "another-token-0123456789")
    assert served.client.post(url, params={"token": token}).status_code == 401
    pm.call("webhook", "delete", number, "--yes")
    assert made["id"] not in [row["id"] for row in pm.read("webhook", "list")]


def test_token_is_made_listed_used_and_revoked(pm: Pm) -> None:
    made = pm.read("token", "create", "ci", "--expires-on", "2999-12-31")
    listed = {row["id"]: row for row in pm.read("token", "list")}
    number = next(key for key, row in listed.items() if row["name"] == "ci")
    other = replace(pm, token=made["token"])
    assert "admin@localhost" in other.call("whoami")
    pm.call("token", "revoke", number)
    assert number not in [row["id"] for row in pm.read("token", "list")]


def test_blocks_are_made_shown_changed_run_and_deleted(pm: Pm) -> None:
    database = pm.read("database", "list")[0]["uid"]
    content = {"sql": "SELECT 41 + 1 AS n", "database_id": database}
    made = pm.read("sql", "create", "--name", "pm_block", "--stdin", given=json.dumps(content))
    uid = made["uid"]
    assert uid in [row["uid"] for row in pm.read("block", "list", "--type", "sql", "--limit", "100")]
    assert json.loads(pm.read("block", "get", uid)["content_json"]) == content
    pm.call("block", "update", uid, "--name", "renamed_block")
    run_id = pm.read("block", "run", uid)["run_id"]

    def is_there(answer: Any) -> bool:
        return bool(answer["result"] and answer["result"]["status"] == "success")

    last = pm.wait("block", "results", uid, "--last", until=is_there)
    assert (last["result"]["run_id"], last["result"]["row_count"]) == (run_id, 1)
    assert pm.read("block", "results", uid)
    scratch = pm.read("sql", "run", "--stdin", given=json.dumps(content))
    assert scratch["run_id"] > run_id
    pm.call("block", "delete", uid, "--yes")
    assert uid not in [row["uid"] for row in pm.read("block", "list", "--limit", "100")]
