"""Compare the Dags of files with their reports."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider_pushmetrics.client import reports
from airflow_provider_pushmetrics.client.models import WebhookTrigger
from airflow_provider_pushmetrics.commands.connections import open_hook
from airflow_provider_pushmetrics.commands.dag_files import reading
from airflow_provider_pushmetrics.commands.dag_files.comparison import UNKNOWN, compare_task, list_unknown
from airflow_provider_pushmetrics.commands.dag_files.reports import ReportFacts, fetch_facts
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsConfigurationError,
    PushMetricsError,
    PushMetricsNotFoundError,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.hooks.connection_check import Finding, Status, check_trigger_token
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook

READ_TIMEOUT_SECONDS = 600.0
COMPARED_FILTERS = ("queries", "query_id")


@dataclass
class CheckOutcome:
    """
    The outcome of a comparison.

    :param tasks: How many tasks name a report.
    :param differences: Where a task and its report differ.
    :param unchecked: What could not be checked, and why.
    """

    tasks: int = 0
    differences: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    def add(self, where: str, finding: Finding) -> None:
        """Add a finding of a task, unless it is OK."""
        if finding.status is Status.FAILED:
            self.differences.append(f"{where}: {finding.text}")
        elif finding.status is not Status.OK:
            self.unchecked.append(f"{where}: {finding.text}")


def check_dags(paths: Iterable[Path], conn_id: str | None, url: str | None) -> CheckOutcome:
    """
    Compare all tasks of Dag files with their reports.

    :param conn_id: The connection instead of that of each task.
    :raises PushMetricsConfigurationError: if the files cannot be read.
    """
    found = read_in_process(paths)
    outcome = CheckOutcome()
    outcome.unchecked += [f"{file}: {get_error_line(error)}" for file, error in found["errors"].items()]
    tasks = [task for task in found["tasks"] if not task["is_any_report"]]
    outcome.tasks = len(tasks)
    if not tasks:
        outcome.unchecked.append("there is no task that names a report, so nothing was compared")
    comparer = _Comparer(outcome, url)
    for task in tasks:
        comparer.compare(task, conn_id or task["conn_id"])
    return outcome


def read_in_process(paths: Iterable[Path]) -> dict[str, Any]:
    """
    Read Dag files in other processes: one for each folder, whose modules may have the names of another's.

    :raises PushMetricsConfigurationError: if one ends without a result.
    """
    folders: dict[Path, list[Path]] = {}
    for path in paths:
        folders.setdefault(reading.find_import_folder(path), []).append(path)
    found: dict[str, Any] = {"errors": {}, "tasks": []}
    for together in folders.values():
        part = _read_together(together)
        found = {"errors": found["errors"] | part["errors"], "tasks": found["tasks"] + part["tasks"]}
    return found


def _read_together(paths: Iterable[Path]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder) / "dags.json", Path(folder) / "errors.txt"
        command = [sys.executable, "-m", reading.__name__, str(output), *map(str, paths)]
        ended = None
        try:
            # Not a pipe: a process that a Dag file leaves behind would hold it open.
            with errors.open("wb") as stderr:
                ended = subprocess.run(
                    command, stdout=subprocess.DEVNULL, stderr=stderr, timeout=READ_TIMEOUT_SECONDS
                )
            found: dict[str, Any] = json.loads(output.read_text("utf-8"))
        except subprocess.TimeoutExpired:
            raise PushMetricsConfigurationError(
                f"the Dags were not read within {READ_TIMEOUT_SECONDS:g} s. A Dag file must not wait for"
                " anything."
            ) from None
        except (OSError, ValueError) as error:
            if ended is None:
                raise PushMetricsConfigurationError(f"no process can read the Dags: {error}.") from None
            said = get_last_line(errors.read_text("utf-8", "replace"))
            raise PushMetricsConfigurationError(
                f"the process that reads the Dags ended with {ended.returncode}: {said}"
            ) from None
    return found


class _Comparer:
    """Compares tasks; asks for each report once."""

    def __init__(self, outcome: CheckOutcome, url: str | None) -> None:
        self._outcome = outcome
        self._url = url
        self._hooks: dict[str, PushMetricsHook | PushMetricsError] = {}
        self._unavailable: dict[str, PushMetricsUnavailableError] = {}
        self._facts: dict[tuple[str, str], ReportFacts | PushMetricsError] = {}
        self._webhooks: dict[str, tuple[WebhookTrigger, ...] | PushMetricsError] = {}
        self._of_report: dict[tuple[str, int], tuple[WebhookTrigger, ...] | PushMetricsError] = {}

    def compare(self, task: Mapping[str, Any], conn_id: str | None) -> None:
        """Compare a task with its report."""
        where = f"{task['file']}: {task['dag_id']}.{task['task_id']}"
        if task["report_id"] is None or conn_id is None:
            what = "its report" if task["report_id"] is None else "its connection"
            self._outcome.unchecked.append(f"{where}: {what} is known only in a run")
            return
        facts = self._fetch_facts(conn_id, str(task["report_id"]))
        if isinstance(facts, PushMetricsNotFoundError):
            self._outcome.differences.append(
                f"{where}: there is no report {task['report_id']!r}, or the API token may not see it"
            )
        elif isinstance(facts, PushMetricsError):
            self._outcome.unchecked.append(f"{where}: {facts}")
        else:
            self._outcome.differences += [f"{where}: {line}" for line in compare_task(task, facts)]
            self._outcome.unchecked += [f"{where}: {line}" for line in list_unknown(task, facts)]
            unknown = [name for name in task["unknown"] if name in COMPARED_FILTERS]
            self._outcome.unchecked += [f"{where}: {name!r} is known only in a run" for name in unknown]
            if task["kind"] == "run":
                if task["parameters"]["kind"] == UNKNOWN:
                    self._outcome.unchecked.append(f"{where}: its parameters are known only in a run")
                self._compare_trigger(where, conn_id, str(task["report_id"]), facts.id)

    def _compare_trigger(self, where: str, conn_id: str, report_id: str, number: int) -> None:
        """Find out whether the report has an enabled trigger, and the connection its token."""
        triggers = self._fetch_triggers(conn_id, number)
        if isinstance(triggers, PushMetricsError):
            self._outcome.unchecked.append(f"{where}: the trigger of report {number}: {triggers}")
            return
        finding = judge_triggers(number, triggers)
        self._outcome.add(where, finding)
        if finding.status is Status.OK and self._url is None:
            self._compare_token(where, conn_id, report_id, triggers)

    def _fetch_triggers(self, conn_id: str, number: int) -> tuple[WebhookTrigger, ...] | PushMetricsError:
        if conn_id not in self._webhooks:
            self._webhooks[conn_id] = self._ask(
                conn_id, lambda opened: reports.fetch_webhooks(opened.credentials)
            )
        listed = self._webhooks[conn_id]
        if isinstance(listed, PushMetricsError):
            return listed
        key = conn_id, number
        if key not in self._of_report:
            self._of_report[key] = self._ask(
                conn_id,
                lambda opened: reports.fetch_webhooks_of_report(opened.credentials, listed, number),
            )
        return self._of_report[key]

    def _compare_token(
        self, where: str, conn_id: str, report_id: str, triggers: tuple[WebhookTrigger, ...]
    ) -> None:
        hook = self._open(conn_id)
        assert isinstance(hook, PushMetricsHook)
        token = hook.settings.trigger_tokens.get(report_id)
        if token is None:
            self._outcome.differences.append(
                f"{where}: connection {conn_id!r} has no trigger token for report {report_id!r}"
            )
            return
        finding = check_trigger_token(f"the trigger token of report {report_id!r}", token, triggers)
        self._outcome.add(where, finding)

    def _fetch_facts(self, conn_id: str, report_id: str) -> ReportFacts | PushMetricsError:
        key = conn_id, report_id
        if key not in self._facts:
            self._facts[key] = self._ask(conn_id, lambda opened: fetch_facts(opened.credentials, report_id))
        return self._facts[key]

    def _open(self, conn_id: str) -> PushMetricsHook | PushMetricsError:
        if conn_id not in self._hooks:
            try:
                self._hooks[conn_id] = open_hook(conn_id, self._url)
            except PushMetricsError as error:
                self._hooks[conn_id] = error
        return self._hooks[conn_id]

    def _ask(self, conn_id: str, build: Any) -> Any:
        """
        Run a call; return its error instead of raising it, so that it is told for each task.

        A server that cannot be reached is not tried again: each call would take minutes.
        """
        hook = self._unavailable.get(conn_id) or self._open(conn_id)
        if isinstance(hook, PushMetricsError):
            return hook
        try:
            return hook.call(build(hook))
        except PushMetricsError as error:
            if isinstance(error, PushMetricsUnavailableError) and error.status_code is None:
                self._unavailable[conn_id] = error
            return error


def judge_triggers(number: int, triggers: tuple[WebhookTrigger, ...]) -> Finding:
    """Find out whether a report has an enabled trigger."""
    name = f"the trigger of report {number}"
    if not triggers:
        text = f"the API token sees no trigger of report {number}"
        return Finding(name, Status.WARNING, text)
    if all(trigger.active is False for trigger in triggers):
        return Finding(name, Status.FAILED, f"{name} is disabled: enable it in PushMetrics")
    if not any(trigger.active for trigger in triggers):
        return Finding(name, Status.WARNING, f"PushMetrics does not show whether {name} is enabled")
    return Finding(name, Status.OK, f"{name} is enabled")


def get_error_line(text: str) -> str:
    """Get the line of an import error that says what it is: the first one after the calls."""
    lines = text.strip().splitlines() or ["no message"]
    calls = [number for number, line in enumerate(lines) if line.startswith(" ")]
    return lines[calls[-1] + 1] if calls and calls[-1] + 1 < len(lines) else lines[-1 if calls else 0]


def get_last_line(text: str) -> str:
    """Get the last line of an output, which has the error."""
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no message"
