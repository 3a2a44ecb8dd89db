"""Where a task of a Dag and its report differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_provider_pushmetrics.commands.dag_files.param_schemas import TYPES
from airflow_provider_pushmetrics.commands.dag_files.reports import (
    ANY,
    ReportFacts,
    ReportParameter,
    split_value,
)
from airflow_provider_pushmetrics.serving.parameter_types import Parameter, ParameterValueError

UNKNOWN = "unknown"

ACCEPTED_TYPES: Mapping[str, frozenset[str]] = {
    "number": frozenset({"integer"}),
    "text": frozenset({"integer", "number", "boolean"}),
}
"""The other types of JSON of which PushMetrics accepts each value, by the type of a Parameter block."""

NEEDS_NATIVE = "the Dag needs render_template_as_native_obj=True"


def compare_task(task: Mapping[str, Any], report: ReportFacts) -> Iterator[str]:
    """
    Find the differences between a task and its report.

    :param task: As :func:`reading.describe_task` describes it.
    """
    name = f"report {report.id} ({report.name!r})"
    for query in task["queries"]:
        if query not in report.queries:
            yield f"{name} has no query {query!r}; it has {_list_names(report.queries)}"
    query_id = task["query_id"]
    if report.has_all_query_ids and _lacks_query(query_id, report):
        yield f"{name} has no query with the id {query_id}; it has {_list_names(report.query_ids)}"
    if task["kind"] == "run" and task["parameters"]["kind"] != UNKNOWN:
        yield from compare_parameters(task["parameters"], report, name)


def list_unknown(task: Mapping[str, Any], report: ReportFacts) -> Iterator[str]:
    """Describe what a task names, and the report may have or not."""
    if not report.has_all_query_ids and _lacks_query(task["query_id"], report):
        yield (
            f"PushMetrics does not list the ids of all queries of report {report.id}, so query"
            f" {task['query_id']} was not compared"
        )


def _lacks_query(query_id: object, report: ReportFacts) -> bool:
    return query_id is not None and str(query_id) not in map(str, report.query_ids)


def compare_parameters(sent: Mapping[str, Any], report: ReportFacts, name: str) -> Iterator[str]:
    """
    Find the differences between the parameters that a task sends and those of its report.

    A parameter with a default may be missing, unless the task sends all Params of its Dag.
    """
    values = sent["values"]
    if sent.get("is_text"):
        yield f"{name} would get the text of all Params in place of parameters: {NEEDS_NATIVE}"
    known = {one.name: one for one in report.parameters if one.name != "token"}
    for extra in values:
        if extra not in known:
            yield f"{name} has no parameter {extra!r}; it has {_list_names(known)}"
    for parameter in known.values():
        needs_value = parameter.is_required and parameter.default is None
        if parameter.name in values:
            yield from _compare_value(values[parameter.name], parameter, name)
        elif needs_value or sent["kind"] == "all":
            yield f"{name} has the parameter {parameter.name!r}, which the Dag does not have"


def _compare_value(sent: Mapping[str, Any], parameter: ReportParameter, name: str) -> Iterator[str]:
    """Compare the Param, or the value, of a parameter; nothing is known of another template."""
    said = f"parameter {parameter.name!r} of {name}"
    if sent.get("is_text_of_collection"):
        yield f"{said} would get Python's text of a list or a dictionary: {NEEDS_NATIVE}"
        return
    schema = sent.get("schema", {})
    yield from _compare_types(schema, parameter, said)
    is_accepted = "value" not in sent or _is_accepted(sent["value"], parameter)
    if not is_accepted and split_value(parameter.kind, sent["value"], is_multiple=True) in (None, []):
        yield f"{said} is required, and the Dag gives {sent['value']!r}"
    elif not is_accepted:
        yield f"{said} is {_describe_type(parameter)}, and the Dag gives {sent['value']!r}"
    value = sent.get("value") if is_accepted else None
    for gone in _list_gone(value, schema, parameter):
        yield f"{said} has no choice {gone!r} any more; it has {_list_names(parameter.choices or ())}"


def _compare_types(schema: Mapping[str, Any], parameter: ReportParameter, said: str) -> Iterator[str]:
    """Compare the types that a Param allows; PushMetrics must accept each value of them."""
    if parameter.kind == ANY:
        return
    accepted = {TYPES[parameter.kind], *ACCEPTED_TYPES.get(parameter.kind, ())}
    types = _list_types(schema.get("type")) - {"null"}
    if not types <= (accepted | {"array"} if parameter.is_multiple else accepted):
        yield f"{said} is {_describe_type(parameter)}, and its Param is {' or '.join(sorted(types))}"
    items = schema.get("items")
    item_types = _list_types(items.get("type") if isinstance(items, Mapping) else None)
    if parameter.is_multiple and not item_types <= accepted:
        names = " or ".join(sorted(item_types))
        yield f"{said} is {_describe_type(parameter)}, and the items of its Param are {names}"


def _list_types(declared: str | Iterable[str] | None) -> set[str]:
    """List the types in a JSON schema: it has one, several or none."""
    return {declared} if isinstance(declared, str) else set(declared or ())


def _list_gone(value: Any, schema: Mapping[str, Any], parameter: ReportParameter) -> Iterator[Any]:
    """List the values in the Dag that are no choices, each once."""
    if parameter.choices is None:
        return
    items = schema.get("items")
    inner = items if isinstance(items, Mapping) else {}
    values = [*(schema.get("enum") or ()), *(inner.get("enum") or ()), *(schema.get("examples") or ())]
    value = split_value(parameter.kind, value, is_multiple=parameter.is_multiple)
    values += value if parameter.is_multiple and isinstance(value, list) else [value]
    seen = []
    for one in values:
        if one is not None and not _is_choice(one, parameter) and repr(one) not in seen:
            seen.append(repr(one))
            yield one


def _is_choice(value: Any, parameter: ReportParameter) -> bool:
    """Return whether PushMetrics accepts a single value; it accepts the default too."""
    default = parameter.default if isinstance(parameter.default, list) else [parameter.default]
    allowed = (*(parameter.choices or ()), *(one for one in default if one is not None))
    # Choices of a query may have another type: they are then ignored.
    block = Parameter(parameter.name, parameter.kind, choices=allowed, choices_query=parameter.query or "")
    return _converts(block, value)


def _is_accepted(value: Any, parameter: ReportParameter) -> bool:
    """Return whether PushMetrics accepts a value, whatever the choices are."""
    block = Parameter(parameter.name, parameter.kind, parameter.is_multiple, parameter.is_required)
    return _converts(block, value)


def _converts(block: Parameter, value: Any) -> bool:
    try:
        block.convert(value)
    except ParameterValueError:
        return False
    return True


def _describe_type(parameter: ReportParameter) -> str:
    return f"a list of {parameter.kind}" if parameter.is_multiple else parameter.kind


def _list_names(names: Any) -> str:
    shown = [repr(name) for name in names]
    return ", ".join(shown[:20]) + (", …" if len(shown) > 20 else "") if shown else "none"
