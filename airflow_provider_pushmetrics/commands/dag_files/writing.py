"""The source of a Dag that runs a report and saves its results."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from airflow import __version__ as airflow_version

from airflow_provider_pushmetrics.commands.dag_files.literals import (
    INDENT,
    write_lines,
    write_text,
    write_type,
    write_value,
)
from airflow_provider_pushmetrics.commands.dag_files.param_schemas import ParamSpec, build_param
from airflow_provider_pushmetrics.commands.dag_files.reading import TEMPLATE_MARKS
from airflow_provider_pushmetrics.commands.dag_files.reports import ReportFacts
from airflow_provider_pushmetrics.compat import has_airflow
from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError

PACKAGE = "airflow_provider_pushmetrics"
FOR_ALL_VERSIONS = "airflow.providers.common.compat.sdk"
MAX_DAG_ID_LENGTH = 200

ID_RULE = re.compile(r"[A-Za-z0-9_.-]{1,250}", re.ASCII)

HEAD = '''"""
Run report {id} of PushMetrics.

Written by ``pushmetrics dag new``; ``pushmetrics dag check`` tells when the report has changed.
"""

from __future__ import annotations

'''

PATH = "f\"{RESULTS}/{{{{ ti.xcom_pull(task_ids='run_report')['run_id'] }}}}\""


@dataclass(frozen=True)
class DagOptions:
    """
    The options of a Dag.

    :param conn_id: The PushMetrics connection.
    :param dag_id: Its id; None for one from the name of the report.
    :param results: The folder for the results, a path or a URL; None for one in the home of the user.
    :param has_retry_policy: Whether its Airflow has retry policies (3.3 and later).
    """

    conn_id: str
    dag_id: str | None = None
    results: str | None = None
    has_retry_policy: bool = False


def write_dag(report: ReportFacts, options: DagOptions) -> str:
    """
    Write the source of a Dag.

    :raises PushMetricsParameterError: if an id cannot be one, or the folder has a template.
    """
    check_options(options)
    params = [build_param(one) for one in report.parameters if one.name != "token"]
    arguments = [
        f"dag_id={write_text(options.dag_id or build_dag_id(report))}",
        f"description={write_text(report.name)}",
        "schedule=None",
        *([f"params={_write_params(params)}"] if params else []),
        "render_template_as_native_obj=True",
        'tags=["pushmetrics"]',
        "doc_md=__doc__",
    ]
    parts = [
        HEAD.format(id=report.id),
        _write_imports(report, options, has_params=bool(params)),
        _write_folder(options) if report.queries else "",
        write_lines("\nwith DAG(", arguments, "):\n", ""),
        _write_tasks(report, options, has_params=bool(params)),
    ]
    return "".join(parts)


def list_notes(report: ReportFacts) -> list[str]:
    """List what a Dag cannot do as the report does."""
    notes = [spec.note for spec in map(build_param, report.parameters) if spec.note]
    if any(one.name == "token" for one in report.parameters):
        notes.append(
            "the Parameter block 'token' is left out: a trigger keeps that name for its own token. Rename it"
        )
    return notes


def check_options(options: DagOptions) -> None:
    """
    Check the ids and the folder of a Dag.

    :raises PushMetricsParameterError: if one cannot be used.
    """
    for name, value in (("--conn-id", options.conn_id), ("--dag-id", options.dag_id)):
        if value is not None and not ID_RULE.fullmatch(value):
            raise PushMetricsParameterError(
                f"{name} is {value!r}: it must be 1 to 250 of the characters A-Z a-z 0-9 _ . -."
            )
    if any(mark in (options.results or "") for mark in TEMPLATE_MARKS):
        raise PushMetricsParameterError(
            f"--results is {options.results!r}: it must not contain a template such as {{{{ ds }}}}."
            " Change the path in the file."
        )


def build_dag_id(report: ReportFacts) -> str:
    """Build the id of a Dag from the name of a report and its number, which is unique."""
    words = re.sub(r"[^a-z0-9]+", "_", report.name.lower(), flags=re.ASCII).strip("_")
    return f"pushmetrics_{words[:MAX_DAG_ID_LENGTH] or 'report'}_{report.id}"


def _write_imports(report: ReportFacts, options: DagOptions, *, has_params: bool) -> str:
    lines = ["import os.path\n\n"] if report.queries else []
    lines += write_airflow_imports(["DAG", "Param"] if has_params else ["DAG"])
    lines.append(_write_import("operators.pushmetrics", "PushMetricsTriggerReportOperator"))
    if options.has_retry_policy:
        lines.append(_write_import("tasks.retry_policy", "PushMetricsRetryPolicy"))
    if report.queries:
        lines.append(_write_import("transfers.pushmetrics", "PushMetricsToObjectStorageOperator"))
    return "".join(lines)


def write_airflow_imports(
    names: Sequence[str], version: str = airflow_version, *, has_compat: bool | None = None
) -> list[str]:
    """
    Write the imports of ``DAG`` and ``Param``, for all versions of Airflow if its provider has them.

    :param version: The version of Airflow.
    :param has_compat: Whether ``common-compat`` is 1.8 or later; by default, as it is here.
    """
    if find_spec(FOR_ALL_VERSIONS) is not None if has_compat is None else has_compat:
        return [f"from {FOR_ALL_VERSIONS} import {', '.join(names)}\n"]
    if has_airflow("3.0", version=version):
        return [f"from airflow.sdk import {', '.join(names)}\n"]
    return [f"from airflow.models.{name.lower()} import {name}\n" for name in names]


def _write_import(module: str, name: str) -> str:
    return write_lines(f"from {PACKAGE}.{module} import (", [name], ")\n", "")


def _write_folder(options: DagOptions) -> str:
    folder = "~/pushmetrics_results" if options.results is None else options.results.rstrip("/")
    return write_lines("\nRESULTS = os.path.expanduser(", [write_text(folder)], ")\n", "")


def _write_params(params: list[ParamSpec]) -> str:
    rows = [f"{write_text(spec.name)}: {_write_param(spec)}" for spec in params]
    return write_lines("{", rows, "}", INDENT)


def _write_param(spec: ParamSpec) -> str:
    indent = INDENT * 2
    inner = indent + INDENT
    arguments = [write_value(spec.default, inner)] if spec.has_default else []
    for key, value in spec.schema.items():
        text = write_type(value) if key == "type" else write_value(value, inner)
        arguments.append(f"{key}={text}")
    return write_lines("Param(", arguments, ")", indent)


def _write_tasks(report: ReportFacts, options: DagOptions, *, has_params: bool) -> str:
    conn_id = f"pushmetrics_conn_id={write_text(options.conn_id)}"
    retries = ["retries=2"]
    if options.has_retry_policy:
        retries.append("retry_policy=PushMetricsRetryPolicy()")
    run = [
        'task_id="run_report"',
        f"report_id={report.id}",
        *(['parameters="{{ params }}"'] if has_params else []),
        conn_id,
        "deferrable=True",
        *retries,
    ]
    text = INDENT + write_lines("run_report = PushMetricsTriggerReportOperator(", run, ")\n", INDENT)
    if not report.queries:
        return text
    save = ['task_id="save_results"', "report_run=run_report.output", f"path={PATH}", conn_id, *retries]
    return text + INDENT + write_lines("PushMetricsToObjectStorageOperator(", save, ")\n", INDENT)
