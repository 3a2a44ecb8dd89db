"""The sources of a receiver: the one of its options, and others from JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.receiver.settings import ReceiverOptions, SourceSettings
from airflow_provider_pushmetrics.signatures import decode_secret

FIELDS = frozenset(field.name for field in fields(SourceSettings))
FLAGS = {"true": True, "1": True, "false": False, "0": False, "": False}
EXAMPLE = '[{"name": "sales", "token": "…", "signing_secrets": ["whsec_…"], "networks": ["10.0.0.0/8"]}]'


def parse_sources(text: str | list[Any]) -> tuple[SourceSettings, ...]:
    """
    Parse sources from a JSON list, from its text, or from a file.

    :raises PushMetricsConfigurationError: if it is invalid. The message never contains a secret.
    """
    return tuple(build_checked_source(row) for row in parse_rows(text))


def parse_rows(text: str | list[Any]) -> list[dict[str, Any]]:
    """
    Parse the rows of sources, without a check of what is in each.

    :raises PushMetricsConfigurationError: if it is not a list of JSON objects.
    """
    rows = _parse_json(text) if isinstance(text, str) else text
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise PushMetricsConfigurationError(f"the sources are not a JSON list such as {EXAMPLE}.")
    return rows


def build_first_source(options: ReceiverOptions, **more: Any) -> tuple[SourceSettings, ...]:
    """
    Build the source that the options describe; None if they contain no credential.

    :param more: The fields of the source that are not options.
    :raises PushMetricsConfigurationError: if it is not valid.
    """
    if not options.token and not options.signing_secrets:
        return ()
    row = {
        "name": options.source,
        "token": options.token,
        "signing_secrets": list(options.signing_secrets),
        "lenient_content_type": options.lenient_content_type,
    }
    return (build_checked_source({**row, **more}),)


def build_checked_source(row: Mapping[str, Any]) -> SourceSettings:
    """
    Build one source, and check that its signing secrets are valid.

    :raises PushMetricsConfigurationError: if it is invalid.
    """
    source = build_source(row)
    for secret in source.signing_secrets:
        decode_secret(secret)
    return source


def build_source(row: Mapping[str, Any]) -> SourceSettings:
    """
    Build one source from the fields of a JSON object.

    :raises PushMetricsConfigurationError: for a field that is unknown or of another type.
    """
    unknown = sorted(set(row) - FIELDS)
    if unknown:
        raise PushMetricsConfigurationError(
            f"a source has the unknown fields {unknown!r}: it may have {sorted(FIELDS)!r}."
        )
    rate = row.get("rate_per_minute")
    if rate is not None and (not isinstance(rate, int) or isinstance(rate, bool)):
        raise PushMetricsConfigurationError("'rate_per_minute' of a source must be a whole number.")
    return SourceSettings(
        name=_get_text(row, "name"),
        token=_get_text(row, "token") or None,
        signing_secrets=_get_texts(row, "signing_secrets"),
        networks=_get_texts(row, "networks"),
        rate_per_minute=rate,
        lenient_content_type=_get_flag(row, "lenient_content_type"),
    )


def _parse_json(text: str) -> Any:
    if not text.strip():
        return []
    content = text if text.lstrip()[0] in "[{" else _read_file(text.strip())
    try:
        return json.loads(content)
    except ValueError:
        return None


def _read_file(name: str) -> str:
    try:
        return Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise PushMetricsConfigurationError(
            f"the sources' file {name[:200]!r} cannot be read: {reason}. Set the name of a file, or"
            " the JSON itself."
        ) from None


def _get_text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name) or ""
    if not isinstance(value, str):
        raise PushMetricsConfigurationError(f"{name!r} of a source must be text.")
    return value.strip()


def _get_flag(row: Mapping[str, Any], name: str) -> bool:
    value = row.get(name, False)
    word = FLAGS.get(str(value).strip().lower())  # options and the fields of connections are text
    if word is None:
        raise PushMetricsConfigurationError(f"{name!r} of a source must be true or false.")
    return word


def _get_texts(row: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = row.get(name) or []
    texts = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise PushMetricsConfigurationError(f"{name!r} of a source must be a list of texts.")
    return tuple(texts)
