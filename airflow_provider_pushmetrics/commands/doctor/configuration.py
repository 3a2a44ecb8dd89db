"""
Values of ``[pushmetrics]`` that Airflow reads as something else, or not at all.

It imports nothing of Airflow: a single ``%`` in a sensitive option stops ``import airflow`` itself.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template

from airflow_provider_pushmetrics.get_provider_info import CONFIG_OPTIONS
from airflow_provider_pushmetrics.hooks.connection_check import Finding, Status

SECTION_NAME = "pushmetrics"
PART = "configuration"

STOPS_AIRFLOW = "which stops every Airflow process"
STOPS_RECEIVER = "so the receiver in Airflow's API server answers 503"

MAX_EXPANSIONS = 20
"""A variable that names itself would be replaced without end, as Airflow does."""


def find_config_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Find ``airflow.cfg`` as Airflow does."""
    home = _expand(environ.get("AIRFLOW_HOME") or "~/airflow", environ)
    named = environ.get("AIRFLOW_CONFIG")
    return _expand(named, environ) if named else home / "airflow.cfg"


def _expand(path: str, environ: Mapping[str, str]) -> Path:
    """Replace ``~`` and variables, in which there may be others, as Airflow does."""
    for _ in range(MAX_EXPANSIONS):
        expanded = os.path.expanduser(Template(path).safe_substitute(environ))
        if expanded == path:
            break
        path = expanded
    return Path(path)


def check_configuration(environ: Mapping[str, str] = os.environ) -> list[Finding]:
    """Check the options of ``[pushmetrics]``, without showing a value."""
    path = find_config_file(environ)
    findings = [*_check_file(path, environ), *_check_environment(environ)]
    return [finding for finding in findings if finding.status is not Status.OK] or findings


def _check_file(path: Path, environ: Mapping[str, str]) -> Iterator[Finding]:
    raw = configparser.RawConfigParser(strict=False, allow_no_value=True)
    interpolated = configparser.ConfigParser(strict=False, allow_no_value=True)
    try:
        text = path.read_text("utf-8")
        for parser in (raw, interpolated):
            parser.read_string(text)
    except FileNotFoundError:
        yield _describe_missing_file(path, is_named=bool(environ.get("AIRFLOW_CONFIG")))
        return
    except (configparser.Error, OSError, UnicodeDecodeError) as error:
        yield Finding(PART, Status.FAILED, f"{path} cannot be read: {type(error).__name__}")
        return
    if not raw.has_section(SECTION_NAME):
        yield Finding(PART, Status.OK, f"the environment; {path} has no section [{SECTION_NAME}]")
        return
    yield Finding(PART, Status.OK, f"[{SECTION_NAME}] of {path} and the environment")
    for name in CONFIG_OPTIONS:
        value = raw.get(SECTION_NAME, name, fallback=None)
        if value is None or f"AIRFLOW__PUSHMETRICS__{name.upper()}" in environ:
            continue
        try:
            value = interpolated.get(SECTION_NAME, name)
        except configparser.InterpolationError:
            what = STOPS_AIRFLOW if CONFIG_OPTIONS[name]["sensitive"] else STOPS_RECEIVER
            yield Finding(
                PART,
                Status.FAILED,
                f"option {name!r} in {path} has a single '%', {what}",
                "Write % as %%, or keep the value in the environment or in receiver_connection.",
            )
        else:
            yield from _check_expansion(f"option {name!r} in {path}", value)


def _describe_missing_file(path: Path, *, is_named: bool) -> Finding:
    if not is_named:
        return Finding(PART, Status.OK, f"the environment; there is no file {path}")
    text = f"there is no file {path}, which AIRFLOW_CONFIG names"
    return Finding(PART, Status.WARNING, text, "Correct AIRFLOW_CONFIG, or write the file.")


def _check_environment(environ: Mapping[str, str]) -> Iterator[Finding]:
    for name in CONFIG_OPTIONS:
        variable = f"AIRFLOW__PUSHMETRICS__{name.upper()}"
        if variable in environ:
            yield from _check_expansion(f"the environment variable {variable}", environ[variable])


def _check_expansion(where: str, value: str) -> Iterator[Finding]:
    """Warn of what Airflow expands: ``$NAME`` and a leading ``~``."""
    if os.path.expanduser(os.path.expandvars(value)) != value:
        yield Finding(
            PART,
            Status.WARNING,
            f"{where} has a $NAME or a leading ~, which Airflow replaces by something else",
            "If that is not wanted, use another value, or keep it in receiver_connection.",
        )
