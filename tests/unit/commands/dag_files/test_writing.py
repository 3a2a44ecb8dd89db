from __future__ import annotations

import ast
import json
import math
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.commands.dag_files.literals import write_text, write_value
from airflow_provider_pushmetrics.commands.dag_files.reports import (
    KINDS,
    ReportFacts,
    ReportParameter,
    parse_content,
)
from airflow_provider_pushmetrics.commands.dag_files.writing import (
    DagOptions,
    build_dag_id,
    list_notes,
    write_airflow_imports,
    write_dag,
)
from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError, PushMetricsProtocolError
from tests.fakes.interpreter import SERVER_PYTHON

HOSTILE = [
    "it's",
    'say "hi"',
    '"""',
    "'''",
    "back\\slash\\",
    "{{ 1 + 1 }}",
    "{% raw %}",
    "two\nlines\r\t\0",
    "🎉 naïve",
    "\u202egnp\u2028",
    "\ud800",
    "{RESULTS}",
    "#",
    "",
]
TEXTS = st.one_of(st.sampled_from(HOSTILE), st.text(), st.text(st.characters()))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
PARAMETERS = st.builds(
    ReportParameter,
    TEXTS,
    st.sampled_from(KINDS),
    JSON,
    st.booleans(),
    st.booleans(),
    st.none() | st.lists(JSON, min_size=1, max_size=3).map(tuple),
    st.lists(JSON, max_size=2).map(tuple),
    title=st.none() | TEXTS,
)
REPORTS = st.builds(
    ReportFacts,
    st.integers(1),
    TEXTS,
    st.lists(PARAMETERS, max_size=3, unique_by=lambda one: one.name).map(tuple),
    st.just(("orders",)) | st.just(()),
)
OPTIONS = DagOptions("pushmetrics_default", has_retry_policy=True)


def find_calls(source: str, name: str) -> list[ast.Call]:
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == name]


def read_arguments(call: ast.Call) -> dict[str, Any]:
    """Read the arguments that are literals."""
    read = {}
    for argument in call.keywords:
        try:
            read[str(argument.arg)] = ast.literal_eval(argument.value)
        except ValueError:
            continue
    return read


@given(TEXTS)
def test_text_is_the_same_after_it_was_written(text: str) -> None:
    source = write_text(text)
    assert ast.literal_eval(source) == text
    assert source.isprintable()


@given(JSON)
def test_value_is_the_same_after_it_was_written(value: Any) -> None:
    assert json.dumps(ast.literal_eval(write_value(value))) == json.dumps(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, [1, {"a": -math.inf}]])
def test_number_that_json_does_not_know_is_refused(value: Any) -> None:
    with pytest.raises(PushMetricsProtocolError, match="no number of JSON"):
        write_value(value)


@given(REPORTS)
def test_names_and_values_never_leave_their_literals(report: ReportFacts) -> None:
    source = write_dag(report, OPTIONS)
    (dag,) = find_calls(source, "DAG")
    assert read_arguments(dag)["description"] == report.name
    names = [one.name for one in report.parameters if one.name != "token"]
    params = [argument.value for argument in dag.keywords if argument.arg == "params"]
    written = [ast.literal_eval(key) for node in params for key in node.keys]  # type: ignore[attr-defined]
    assert written == names
    assert len(find_calls(source, "Param")) == len(names)


@given(REPORTS)
def test_templates_contain_nothing_of_the_report(report: ReportFacts) -> None:
    """Jinja renders the arguments of tasks, and not the values of params or the description of a Dag."""
    source = write_dag(report, OPTIONS)
    for name in ("PushMetricsTriggerReportOperator", "PushMetricsToObjectStorageOperator"):
        for call in find_calls(source, name):
            texts = {value for value in read_arguments(call).values() if isinstance(value, str)}
            assert texts <= {"run_report", "save_results", "{{ params }}", "pushmetrics_default"}


def test_formatter_changes_nothing(tmp_path: Path) -> None:
    long = "x" * 200
    values = [{long: long, "f": 1e300, "g": -1e-9, "h": [[], {}]}, long, HOSTILE, [1, 2]]
    parameters = [
        ReportParameter(name, kind, value, choices=(value, 1), title=name)
        for name, kind, value in zip([*HOSTILE, long], [*KINDS, *KINDS, *KINDS], values * 4, strict=False)
    ]
    reports = [ReportFacts(7, name, tuple(parameters), ("orders",)) for name in [*HOSTILE, long]]
    reports += [ReportFacts(8, "none"), ReportFacts(9, "no query", tuple(parameters[:1]))]
    for number, report in enumerate(reports):
        for policy in (True, False):
            options = DagOptions("pushmetrics_default", None, "s3://bucket/x" * number or None, policy)
            (tmp_path / f"dag_{number}_{policy}.py").write_text(write_dag(report, options), "utf-8")
    for length in ("88", "110"):
        command = [SERVER_PYTHON, "-m", "ruff", "format", "--isolated", "--diff", "--line-length", length]
        ended = subprocess.run([*command, tmp_path], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_dag_id_is_unique_by_the_number_of_the_report() -> None:
    assert build_dag_id(ReportFacts(7, "Sales / by Region")) == "pushmetrics_sales_by_region_7"
    assert build_dag_id(ReportFacts(7, "🎉")) == "pushmetrics_report_7"


def test_parameter_called_token_is_left_out_and_said() -> None:
    report = ReportFacts(7, "x", (ReportParameter("token"),))
    assert find_calls(write_dag(report, OPTIONS), "Param") == []
    assert "'token' is left out" in list_notes(report)[0]


@pytest.mark.parametrize(
    "options",
    [DagOptions("a'b"), DagOptions("{{ x }}"), DagOptions("c", "d e"), DagOptions("c", "d", "s3://{{ ds }}")],
)
def test_id_or_folder_with_a_template_is_refused(options: DagOptions) -> None:
    with pytest.raises(PushMetricsParameterError, match=r"--(conn-id|dag-id|results) is"):
        write_dag(ReportFacts(1, "x"), options)


@pytest.mark.parametrize("text", ["[1]", '{"default": NaN}', '{"default": 1e999}', "{", None, "[" * 9999])
def test_content_that_a_dag_cannot_hold_is_refused(text: str | None) -> None:
    with pytest.raises(PushMetricsProtocolError, match="Parameter block 'x'"):
        parse_content("x", text)
    with pytest.raises(PushMetricsProtocolError, match="Parameter block 'x'"):
        parse_content("x", '{"default": ' + "[" * 60 + "]" * 60 + "}")


@pytest.mark.parametrize(
    ("version", "has_compat", "lines"),
    [
        ("2.11.0", True, ["from airflow.providers.common.compat.sdk import DAG, Param\n"]),
        ("3.0.6", False, ["from airflow.sdk import DAG, Param\n"]),
        (
            "2.11.0",
            False,
            ["from airflow.models.dag import DAG\n", "from airflow.models.param import Param\n"],
        ),
    ],
)
def test_airflow_s_names_come_from_where_this_airflow_has_them(
    version: str, has_compat: bool, lines: list[str]
) -> None:
    assert write_airflow_imports(["DAG", "Param"], version, has_compat=has_compat) == lines
