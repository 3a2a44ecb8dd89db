"""The contents of each block type, validated when a block is saved."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.service.charts.checks import ChartSpecError, check_spec
from airflow_provider_pushmetrics.service.notifications.recipients import (
    check_channel,
    check_entries,
    parse_recipient,
)
from airflow_provider_pushmetrics.service.reports.block_graph import (
    CHART,
    EMAIL,
    PARAMETER,
    SLACK,
    SQL,
    TEXT,
    collect_templates,
)
from airflow_provider_pushmetrics.service.reports.message_blocks import HTML, MARKDOWN, PLAIN_TEXT
from airflow_provider_pushmetrics.service.results.attachments import MEDIA_TYPES
from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError
from airflow_provider_pushmetrics.service.templates.markup import check_markup_template
from airflow_provider_pushmetrics.service.templates.rendering import check_sql_template, parse_template
from airflow_provider_pushmetrics.serving.json_bodies import MAX_DEPTH, is_deeper_than
from airflow_provider_pushmetrics.serving.parameter_types import CONVERSIONS, MAX_CHOICES, Parameter

ALIASES: Mapping[str, str] = {"query": SQL, "sql_query": SQL, "markdown": TEXT}
"""Aliases of block types."""

KEYS: Mapping[str, frozenset[str]] = {
    PARAMETER: frozenset({"type", "default", "required", "multiple", "choices"}),
    SQL: frozenset({"sql", "database_id", "limit", "timeout_seconds"}),
    TEXT: frozenset({"text"}),
    CHART: frozenset({"query", "spec"}),
    EMAIL: frozenset({"to_", "subject", "value", "format", "attachments"}),
    SLACK: frozenset({"channels", "value_markdown"}),
}
"""The keys of each type's content. A misspelled key must be rejected, not ignored."""

ATTACHMENT_KEYS = frozenset({"query", "format", "filename", "skip_if_empty"})

KEPT_KEYS: Mapping[str, frozenset[str]] = {
    EMAIL: frozenset({"integration_id"}),
    SLACK: frozenset({"integration_id", "editor_mode"}),
}
"""
Keys that PushMetrics' own client always sends and that have no effect here.

There is one mail server and one Slack workspace, and a message is always Markdown.
"""

MARKDOWN_EDITOR = "wysiwyg_mode"
"""The value of ``editor_mode`` for which ``value_markdown`` is the message."""

MERGE_KEYS = frozenset({"merge_pdf_config", "merge_csv_config"})
UNSUPPORTED_KEYS: Mapping[str, frozenset[str]] = {
    SQL: frozenset({"schema", "export_options"}),
    EMAIL: MERGE_KEYS | {"cc", "bcc", "chart_block_uids", "smtp_from", "smtp_from_fullname"},
    SLACK: MERGE_KEYS | {"attachments", "thread_ts", "attachments_to_thread", "include_reload_button"},
}
"""Keys of PushMetrics that are not supported: accepted, and dropped, only if they are empty."""

MAX_ROWS_LIMIT = 100_000_000
MAX_TIMEOUT_SECONDS = 86_400
MAX_ATTACHMENTS = 10
MAIL_FORMATS = (PLAIN_TEXT, MARKDOWN, HTML)


class ContentError(PushMetricsParameterError):
    """A block or its content is invalid."""


def check_block_type(name: str) -> str:
    """
    Normalize a block type.

    :raises ContentError: if it is unknown.
    """
    kind = ALIASES.get(name, name)
    if kind not in CHECKS:
        raise ContentError(f"blocks of the type {name!r} are not supported: use {', '.join(sorted(CHECKS))}")
    return kind


def parse_content(value: Any) -> dict[str, Any]:
    """
    Parse the content of a block, given as an object or as JSON text.

    :raises ContentError: if it is neither.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise ContentError("content_json is not valid JSON") from None
    if not isinstance(value, dict):
        raise ContentError("content_json is not a JSON object")
    check_json(value)
    return value


def check_json(value: Any) -> None:
    """
    Check that JSON, and every database, can store a value.

    :raises ContentError: for NaN, infinity, half a surrogate pair, or deep nesting.
    """
    if is_deeper_than(value):
        raise ContentError(f"it is nested more than {MAX_DEPTH} deep")
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, TypeError):
        raise ContentError(
            "it contains a value that JSON does not support: NaN, infinity or half a character"
        ) from None


def check_content(kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """
    Validate the content of a block.

    :raises ContentError: if a key is missing, unknown, or has an invalid value.
    """
    check_json(dict(content))
    content = _check_keys(kind, content)
    checked = {**content, **CHECKS[kind](content)}
    for template in collect_templates(kind, checked):
        try:
            (check_sql_template if kind == SQL else parse_template)(template)
        except BlockTemplateError as error:
            raise ContentError(str(error)) from None
    return checked


def _check_keys(kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse unknown keys, and drop empty unsupported ones."""
    unsupported = UNSUPPORTED_KEYS.get(kind, frozenset())
    kept = {key: value for key, value in content.items() if key not in unsupported or value}
    for key in kept:
        if key in unsupported:
            raise ContentError(f"{key!r} is not supported by this service: remove it")
    if kept.get("editor_mode", MARKDOWN_EDITOR) not in (None, MARKDOWN_EDITOR):
        raise ContentError(
            f"'editor_mode' is not supported by this service, other than {MARKDOWN_EDITOR!r}: remove it"
        )
    refuse_unknown_keys(kept, KEYS[kind], f"{kind} blocks have", ignored=KEPT_KEYS.get(kind, frozenset()))
    return kept


def refuse_unknown_keys(
    given: Iterable[object], known: Collection[str], owner: str, *, ignored: Collection[str] = ()
) -> None:
    """
    Refuse unknown keys.

    :param owner: The beginning of the sentence that lists the known keys.
    :param ignored: Keys that are accepted and not listed.
    :raises ContentError: with the first unknown key and the known ones.
    """
    for key in given:
        if key not in known and key not in ignored:
            raise ContentError(f"the key {str(key)[:64]!r} is unknown: {owner} {', '.join(sorted(known))}")


def _check_parameter(content: Mapping[str, Any]) -> dict[str, Any]:
    kind, choices = content.get("type", "any"), content.get("choices")
    if kind != "any" and (not isinstance(kind, str) or kind not in CONVERSIONS):
        raise ContentError(f"type is {kind!r}: it must be one of any, {', '.join(CONVERSIONS)}")
    for name in ("required", "multiple"):
        if not isinstance(content.get(name, False), bool):
            raise ContentError(f"{name} must be true or false")
    if choices is not None and not _is_list_of_choices(choices):
        raise ContentError(
            f'choices must be a list of 1 to {MAX_CHOICES} values, or {{"query": …}} with the name of a query'
        )
    checked = {"type": kind, "default": content.get("default"), "required": content.get("required", False)}
    try:
        Parameter.read("default", {**content, **checked}).check()
    except PushMetricsParameterError as error:
        raise ContentError(f"the default or a choice is invalid: {error}") from None
    return checked


def _is_list_of_choices(choices: Any) -> bool:
    if isinstance(choices, dict):
        return list(choices) == ["query"] and isinstance(choices["query"], str)
    return isinstance(choices, list) and 0 < len(choices) <= MAX_CHOICES


def _check_sql(content: Mapping[str, Any]) -> dict[str, Any]:
    source = content.get("database_id")
    if isinstance(source, str) and source.isascii() and source.isdigit() and len(source) < 19:
        source = int(source)
    if not isinstance(source, int) or isinstance(source, bool):
        raise ContentError("database_id is missing, or is not a database: see GET /api/v1/database/")
    sql = _read_text_field(content, "sql")
    checked = {"sql": sql, "database_id": source}
    for name, limit in (("limit", MAX_ROWS_LIMIT), ("timeout_seconds", MAX_TIMEOUT_SECONDS)):
        value = content.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= limit:
            raise ContentError(f"{name} must be an integer from 1 to {limit}")
        checked[name] = value
    return checked


def _check_text(content: Mapping[str, Any]) -> dict[str, Any]:
    return {"text": _read_text_field(content, "text")}


def _check_chart(content: Mapping[str, Any]) -> dict[str, Any]:
    spec = content.get("spec")
    if not isinstance(spec, dict) or not spec:
        raise ContentError("spec is missing: it must be a Vega-Lite specification, an object")
    try:
        check_spec(spec)
    except ChartSpecError as error:
        raise ContentError(str(error)) from None
    return {"spec": spec, "query": _read_text_field(content, "query")}


def _check_email(content: Mapping[str, Any]) -> dict[str, Any]:
    form, value = content.get("format", PLAIN_TEXT), _read_text_field(content, "value")
    if form not in MAIL_FORMATS:
        raise ContentError(f"format is {form!r}: it must be one of {', '.join(MAIL_FORMATS)}")
    if form != PLAIN_TEXT:
        _check_markup(value)
    checked: dict[str, Any] = {
        "subject": _read_text_field(content, "subject"),
        "value": value,
        "format": form,
        "to_": _read_recipients(content, "to_", parse_recipient),
    }
    if content.get("attachments") is not None:
        checked["attachments"] = _check_attachments(content["attachments"])
    return checked


def _check_attachments(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or len(value) > MAX_ATTACHMENTS:
        raise ContentError(f"attachments must be a list of at most {MAX_ATTACHMENTS} objects")
    return [_check_attachment(one) for one in value]


def _check_attachment(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ContentError('an attachment must be an object, such as {"query": "orders", "format": "csv"}')
    refuse_unknown_keys(value, ATTACHMENT_KEYS, "attachments have")
    kind = value.get("format", "csv")
    if not isinstance(kind, str) or kind not in MEDIA_TYPES:
        raise ContentError(f"the format of an attachment must be one of {', '.join(MEDIA_TYPES)}")
    if not isinstance(value.get("filename", ""), str):
        raise ContentError("the filename of an attachment must be a text")
    if not isinstance(value.get("skip_if_empty", False), bool):
        raise ContentError("skip_if_empty of an attachment must be true or false")
    return {**value, "query": _read_text_field(value, "query"), "format": kind}


def _check_slack(content: Mapping[str, Any]) -> dict[str, Any]:
    message = _read_text_field(content, "value_markdown")
    _check_markup(message)
    return {"channels": _read_recipients(content, "channels", check_channel), "value_markdown": message}


def _check_markup(template: str) -> None:
    try:
        check_markup_template(template)
    except BlockTemplateError as error:
        raise ContentError(str(error)) from None


def _read_text_field(content: Mapping[str, Any], name: str) -> str:
    value = content.get(name)
    if not isinstance(value, str):
        raise ContentError(f"{name} is missing: it must be a text")
    return value


def _read_recipients(content: Mapping[str, Any], name: str, check: Callable[[str], object]) -> list[str]:
    value = content.get(name)
    entries = [value] if isinstance(value, str) else value
    if not isinstance(entries, list) or not all(isinstance(one, str) for one in entries):
        raise ContentError(f"{name} must be a list of texts")
    try:
        split = check_entries(entries, check)
    except PushMetricsParameterError as error:
        raise ContentError(str(error)) from None
    if not split:
        raise ContentError(f"{name} is missing: it must name at least one recipient")
    return split


CHECKS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    PARAMETER: _check_parameter,
    SQL: _check_sql,
    TEXT: _check_text,
    CHART: _check_chart,
    EMAIL: _check_email,
    SLACK: _check_slack,
}
