"""The environment variables and connections that pages name."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

from scripts.docs_blocks.blocks import ROOT
from scripts.docs_site.reference.options import build_options

VARIABLE = re.compile(r"\b(?:PUSHMETRICS_|AIRFLOW__)[A-Z0-9_]*")
SUFFIXES = ("_CMD", "_SECRET")
"""How Airflow reads a sensitive option from a command or a secrets backend."""

OWN = {"PUSHMETRICS_BENCH_TASKS", "PUSHMETRICS_EXAMPLE_OUTPUT"}
"""Variables of the benchmarks and of the example Dags, which the page of options does not have."""

OTHERS = {
    *("AIRFLOW_HOME", "PYTHONPATH", "RESULTS"),
    *("AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_SECRET_ACCESS_KEY", "AWS_SHARED_CREDENTIALS_FILE"),
    *("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_EXPORTER"),
}
"""Variables of other programs, and RESULTS of the tutorial's own Dag."""


@cache
def list_variables() -> frozenset[str]:
    """List the variables of this package and of Airflow."""
    known = set(VARIABLE.findall(build_options()))
    for section, described in list_sections().items():
        known |= {f"AIRFLOW__{section}__{name}".upper().replace("-", "_") for name in described}
    known |= set(VARIABLE.findall((ROOT / ".env.example").read_text("utf-8")))
    return frozenset(known | OWN)


@cache
def list_sections() -> dict[str, frozenset[str]]:
    """List the options of ``airflow.cfg``, by their section; ours too."""
    from airflow.configuration import conf

    from airflow_provider_pushmetrics.get_provider_info import get_provider_info

    described = {**conf.configuration_description, **get_provider_info()["config"]}
    return {section: frozenset(found["options"]) for section, found in described.items()}


def check_variables(text: str) -> Iterator[str]:
    """Find variables with our prefixes that nobody reads; ``A_`` stands for those that begin so."""
    known = list_variables()
    for name in VARIABLE.findall(text):
        plain = next((name.removesuffix(end) for end in SUFFIXES if name.endswith(end)), name)
        if name.endswith("_"):
            if not any(one.startswith(name) for one in known):
                yield f"no variable begins with {name}"
        elif name not in known and plain not in known:
            yield f"nobody reads the variable {name}"


def check_exported(variables: Mapping[str, str]) -> Iterator[str]:
    """Find exported variables that are not known, and connections that Airflow or we cannot read."""
    for name, value in variables.items():
        if name.startswith("AIRFLOW_CONN_"):
            yield from check_connection(value)
        elif name not in OTHERS and name not in list_variables():
            yield f"the variable {name} is exported, and nobody is known to read it"


def check_connection(value: str) -> Iterator[str]:
    """Find what is wrong with a connection as JSON or as a URI."""
    if not value.startswith("{"):
        extra = parse_qs(urlsplit(value).query).get("__extra__", ["{}"])[0]
        yield from check_extra(json.loads(extra))
        return
    try:
        connection = json.loads(value)
    except ValueError as error:
        yield f"a connection is not JSON: {error}"
        return
    unknown = connection.keys() - CONNECTION_KEYS
    if unknown:
        yield f"a connection has no {', '.join(sorted(unknown))}"
    if connection.get("conn_type") == "pushmetrics":
        yield from check_extra(connection.get("extra", {}))


CONNECTION_KEYS = {"conn_type", "host", "login", "password", "schema", "port", "extra", "description"}
"""https://airflow.apache.org/docs/apache-airflow/stable/howto/connection.html#json-format-example"""


def check_extra(extra: Mapping[str, Any]) -> Iterator[str]:
    """Find extras that no code of ours reads."""
    unknown = extra.keys() - list_extras()
    if unknown:
        yield f"a PushMetrics connection has no extra {', '.join(sorted(unknown))}"


@cache
def list_extras() -> frozenset[str]:
    """List what the table of docs/connection.md has, as far as the hook's settings read it."""
    page = (ROOT / "docs" / "connection.md").read_text("utf-8")
    source = ast.parse((ROOT / "airflow_provider_pushmetrics" / "hooks" / "settings.py").read_text("utf-8"))
    read = {node.value for node in ast.walk(source) if isinstance(node, ast.Constant)}
    return frozenset(set(re.findall(r"`(\w+)`", page)) & {one for one in read if isinstance(one, str)})
