"""
Read Dag files as Airflow does, in a process of its own: they run code, print, and may end the process.

``python -m airflow_provider_pushmetrics.commands.dag_files.reading OUTPUT PATH...`` writes JSON to a file.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import Any

WHOLE = re.compile(r"\s*\{\{\s*params\s*\}\}\s*")
ONE = re.compile(r"""\s*\{\{\s*params(?:\.(\w+)|\[(['"])([^'"\\{}]*)\2\])\s*\}\}\s*""")
OPERATORS = {
    "airflow_provider_pushmetrics.operators.pushmetrics.PushMetricsTriggerReportOperator": "run",
    "airflow_provider_pushmetrics.sensors.pushmetrics.PushMetricsRunSensor": "wait",
    "airflow_provider_pushmetrics.transfers.pushmetrics.PushMetricsToObjectStorageOperator": "save",
}


TEMPLATE_MARKS = ("{{", "{%", "{#")
FILTERS = ("queries", "query_id", "event_filter")
ARGUMENTS = {
    "run": ("report_id", "pushmetrics_conn_id", "parameters"),
    "wait": ("report_id", "pushmetrics_conn_id", "query_id", "event_filter"),
    "save": ("report_run", "pushmetrics_conn_id", "queries"),
}
"""The arguments of each kind of task that are read."""


def read_dags(paths: list[str]) -> dict[str, Any]:
    """
    Read the Dags of files and folders, without any server.

    :return: ``errors`` by file, and ``tasks``: those of this package.
    """
    errors: dict[str, str] = {}
    tasks: list[dict[str, Any]] = []
    for path in paths:
        add_import_folders(path)
        bag = _build_bag(path)
        errors |= {str(name): str(error).strip() for name, error in bag.import_errors.items()}
        for dag in bag.dags.values():
            tasks += [found for task in dag.tasks if (found := describe_task(dag, task)) is not None]
    return {"errors": errors, "tasks": tasks}


def find_import_folder(path: Path) -> Path:
    """Find the folder from which the Dags of a path import modules of their own: the path, or its parent."""
    whole = path.resolve()
    return whole if whole.is_dir() else whole.parent


def add_import_folders(path: str) -> None:
    """Import modules from the folder of Dags, as Airflow does; its ``DagBag`` does not, since Airflow 3."""
    folder, configured = find_import_folder(Path(path)), find_dags_folder()
    folders = [configured, folder] if configured and configured in folder.parents else [folder]
    sys.path += [str(one) for one in folders if str(one) not in sys.path]


def find_dags_folder() -> Path | None:
    """Find the Dags folder of the configuration."""
    from airflow_provider_pushmetrics.compat import conf

    configured = conf.get("core", "dags_folder", fallback="")
    return Path(configured).resolve() if configured else None


def describe_task(dag: Any, task: Any) -> dict[str, Any] | None:
    """Describe a task of this package; None for another one."""
    is_mapped = not hasattr(task, "execute")
    kind = next(
        (OPERATORS[name] for name in _list_class_names(task, is_mapped=is_mapped) if name in OPERATORS), None
    )
    if kind is None:
        return None
    given = _read_mapped(dag, task) if is_mapped else vars(task)
    arguments = {name: given[name] for name in ARGUMENTS[kind] if name in given}
    report_id = arguments.get("report_id")
    if kind == "save":
        report_id = _find_source_report(arguments.get("report_run"))
    return {
        "dag_id": dag.dag_id,
        "file": str(dag.fileloc),
        "task_id": task.task_id,
        "kind": kind,
        "report_id": read_literal(report_id),
        "is_any_report": kind == "wait" and report_id is None,
        "conn_id": read_literal(arguments.get("pushmetrics_conn_id", "pushmetrics_default")),
        "parameters": describe_parameters(
            arguments.get("parameters"), _find_params(dag, task, given), is_native=_is_native(dag, task)
        ),
        "queries": [
            one for one in map(read_literal, _read_list(arguments.get("queries"))) if one is not None
        ],
        "event_filter": read_literal(arguments.get("event_filter")),
        "query_id": read_literal(arguments.get("query_id")),
        "unknown": [name for name in FILTERS if not _is_known(arguments.get(name))],
    }


def describe_parameters(parameters: Any, params: Any, *, is_native: bool) -> dict[str, Any]:
    """
    Describe which parameters a task sends, and what is known of their values before a run.

    :param is_native: Whether templates render to values; otherwise they render to text.
    """
    if parameters is None:
        return {"kind": "some", "values": {}}
    if isinstance(parameters, str) and WHOLE.fullmatch(parameters):
        if params is None:
            return {"kind": "unknown"}
        values = {name: _describe_param(params, name) for name in params}
        return {"kind": "all", "values": values, "is_text": not is_native}
    if not isinstance(parameters, Mapping):
        return {"kind": "unknown"}
    values = {
        str(name): _describe_value(value, params, is_native=is_native) for name, value in parameters.items()
    }
    return {"kind": "some", "values": values}


def _is_native(dag: Any, task: Any) -> bool:
    """Return whether the templates of a task render to values: it, or its Dag, says so."""
    own = getattr(task, "render_template_as_native_obj", None)  # since Airflow 3.3
    return bool(dag.render_template_as_native_obj if own is None else own)


def _find_params(dag: Any, task: Any, given: Mapping[str, Any]) -> Any:
    """Find the Params of a task, its own and those of its Dag; None if they are known only in a run."""
    return None if given.get("params") is ... else getattr(task, "params", None) or dag.params


def _describe_value(value: Any, params: Any, *, is_native: bool) -> dict[str, Any]:
    if isinstance(value, str) and (match := ONE.fullmatch(value)):
        param = _describe_param(params, match[1] or match[3])
        return _render(param, is_native=is_native)
    if _has_template(value):
        return {}
    return {"value": value}


def _describe_param(params: Any, name: str) -> dict[str, Any]:
    """Describe a Param by its JSON schema, and by its default if a run may begin with it."""
    if params is None or name not in params:
        return {}
    param = params.get_param(name)
    schema = dict(param.schema)
    value = param.value
    if value is None:
        is_known = "null" in _list_types(schema) and None in schema.get("enum", [None])
    else:  # no value is a copy of an object of Airflow, which ``has_value`` does not recognize
        is_known = isinstance(value, str | int | float | list | tuple | Mapping)
    return {"schema": schema, **({"value": value} if is_known else {})}


def _list_types(schema: Mapping[str, Any]) -> list[str]:
    """List the types that a JSON schema allows: without one, all."""
    declared = schema.get("type", ["null"])
    return [declared] if isinstance(declared, str) else list(declared)


def _render(param: dict[str, Any], *, is_native: bool) -> dict[str, Any]:
    """Describe what the template of a Param renders to; the operator sends the text None as null."""
    value = param.get("value")
    if is_native and isinstance(value, str):  # Jinja evaluates it, if it is a literal of Python
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            return {**param, "value": ast.literal_eval(ast.parse(value, mode="eval"))}
    if is_native or not param:
        return param
    types = _list_types(param["schema"])
    if isinstance(value, list | tuple | Mapping) or "array" in types or "object" in types:
        return {**param, "is_text_of_collection": True}
    return {**param, "value": str(value)} if value is not None else param


def _has_template(value: Any) -> bool:
    """Return whether a value is known only in a run, or is no JSON."""
    if isinstance(value, str):
        return any(mark in value for mark in TEMPLATE_MARKS)
    if isinstance(value, Mapping):
        return any(map(_has_template, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_has_template, value))
    return not (value is None or isinstance(value, bool | int | float))


def read_literal(value: Any) -> str | int | None:
    """Read an id that no template gives; None for anything else."""
    if isinstance(value, str):
        return None if _has_template(value) else value
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _read_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _list_class_names(task: Any, *, is_mapped: bool) -> list[str]:
    own = task.operator_class if is_mapped else type(task)
    return [f"{one.__module__}.{one.__qualname__}" for one in getattr(own, "__mro__", ())]


def _read_mapped(dag: Any, task: Any) -> dict[str, Any]:
    """
    Read the arguments of mapped tasks, to which Airflow adds the defaults only in a run.

    One that each task has of its own is ``...``; so are all of them, if they come from dictionaries.
    """
    group = getattr(task, "task_group", None)
    own = task.partial_kwargs.get("default_args")
    defaults = [dag.default_args, getattr(group, "default_args", None), own]
    arguments: dict[str, Any] = {}
    for given in (*defaults, task.partial_kwargs):
        arguments |= given or {}
    value = getattr(task.expand_input, "value", None)
    expanded = (
        value if isinstance(value, Mapping) else [name for names in ARGUMENTS.values() for name in names]
    )
    return {**arguments, **dict.fromkeys(expanded, ...)}


def _is_known(value: Any) -> bool:
    """Return whether a filter is known before a run."""
    items = value if isinstance(value, list | tuple) else [value]
    return value is None or all(read_literal(item) is not None for item in items)


def _find_source_report(report_run: Any) -> str | int | None:
    """Find the report of the task whose output is saved."""
    source = getattr(report_run, "operator", None)
    return read_literal(getattr(source, "report_id", None))


def _build_bag(path: str) -> Any:
    # The class is in the second module since Airflow 3.2; the first one then warns.
    is_moved = find_spec("airflow.dag_processing") and find_spec("airflow.dag_processing.dagbag")
    module = "airflow.dag_processing.dagbag" if is_moved else "airflow.models.dagbag"
    build = import_module(module).DagBag
    has_examples = "include_examples" in signature(build).parameters
    return build(path, **({"include_examples": False} if has_examples else {}))


if __name__ == "__main__":
    output, *paths = sys.argv[1:]
    Path(output).write_text(json.dumps(read_dags(paths), default=str), "utf-8")
