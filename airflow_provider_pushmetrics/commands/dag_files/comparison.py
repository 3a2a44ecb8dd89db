"""Where a task of a Dag and its report differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from airflow_provider_pushmetrics.commands.dag_files.param_schemas import (
    TYPES,
    convert_value,
    is_of_kind,
)
from airflow_provider_pushmetrics.commands.dag_files.reports import (
    ANY,
    ReportFacts,
    ReportParameter,
    split_value,
)

UNKNOWN = "unknown"


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
    schema = sent.get("schema", {})
    expected = "array" if parameter.is_multiple else TYPES.get(parameter.kind)
    declared = schema.get("type")
    names = {*([declared] if isinstance(declared, str) else declared or ())} - {"null"}
    if expected is not None and not names <= _list_types(expected):
        yield f"{said} is {_describe_type(parameter)}, and its Param is {' or '.join(sorted(names))}"
    items = schema.get("items")
    item_type = items.get("type") if isinstance(items, Mapping) else None
    is_typed = parameter.is_multiple and parameter.kind != ANY and item_type is not None
    if is_typed and item_type not in _list_types(TYPES[parameter.kind]):
        yield f"{said} is {_describe_type(parameter)}, and the items of its Param are {item_type}"
    if "value" in sent and not _has_type(sent["value"], parameter):
        yield f"{said} is {_describe_type(parameter)}, and the Dag gives {sent['value']!r}"
    for gone in _list_gone(sent, schema, parameter):
        yield f"{said} has no choice {gone!r} any more; it has {_list_names(parameter.choices or ())}"


def _list_types(name: str) -> set[str]:
    """List the types of JSON whose values are all of a type."""
    return {name, "integer"} if name == "number" else {name}


def _list_gone(
    sent: Mapping[str, Any], schema: Mapping[str, Any], parameter: ReportParameter
) -> Iterator[Any]:
    """List the values in the Dag that are no choices, each once."""
    if parameter.choices is None:
        return
    items = schema.get("items")
    inner = items if isinstance(items, Mapping) else {}
    values = [*(schema.get("enum") or ()), *(inner.get("enum") or ()), *(schema.get("examples") or ())]
    value = split_value(parameter.kind, sent.get("value"), is_multiple=parameter.is_multiple)
    values += value if parameter.is_multiple and isinstance(value, list) else [value]
    default = parameter.default if isinstance(parameter.default, list) else [parameter.default]
    allowed = [_normalize(one, parameter) for one in (*parameter.choices, *default)]
    seen = []
    for one in values:
        normal = _normalize(one, parameter)
        if one is not None and normal not in allowed and normal not in seen:
            seen.append(normal)
            yield one


def _normalize(value: Any, parameter: ReportParameter) -> tuple[bool, Any]:
    """Normalize a value for comparison, in which 1 and true differ."""
    converted = convert_value(parameter.kind, value)
    if parameter.kind == "number" and not isinstance(converted, bool):
        converted = _read_decimal(converted) or converted
    return isinstance(converted, bool), converted


def _read_decimal(value: Any) -> Decimal | None:
    """Read a number with all its digits; None if it is none."""
    try:
        number = Decimal(value if isinstance(value, str) else repr(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _has_type(value: Any, parameter: ReportParameter) -> bool:
    """Return whether PushMetrics may accept a value; it reads texts of most types."""
    value = split_value(parameter.kind, value, is_multiple=parameter.is_multiple)
    if parameter.is_multiple and isinstance(value, list):
        return all(_is_item(one, parameter.kind) for one in value)
    return _is_item(value, parameter.kind)


def _is_item(value: Any, kind: str) -> bool:
    if isinstance(value, str) and kind == "boolean":
        return True
    if isinstance(value, str) and kind == "number":
        return _read_decimal(value) is not None
    return is_of_kind(kind, convert_value(kind, value))


def _describe_type(parameter: ReportParameter) -> str:
    return f"a list of {parameter.kind}" if parameter.is_multiple else parameter.kind


def _list_names(names: Any) -> str:
    shown = [repr(name) for name in names]
    return ", ".join(shown[:20]) + (", …" if len(shown) > 20 else "") if shown else "none"
