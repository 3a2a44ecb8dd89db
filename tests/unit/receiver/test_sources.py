from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.receiver.settings import SourceSettings, StandaloneOptions
from airflow_provider_pushmetrics.receiver.sources import build_first_source, parse_sources
from airflow_provider_pushmetrics.signatures import generate_secret

SECRET = generate_secret()

ROWS = [
    {
        "name": "sales",
        "token": "t",
        "signing_secrets": [SECRET],
        "networks": ["10.0.0.0/8"],
        "rate_per_minute": 60,
    },
    {"name": "finance", "signing_secrets": f"{SECRET}, {SECRET}"},
]
SOURCES = (
    SourceSettings("sales", "t", (SECRET,), ("10.0.0.0/8",), 60),
    SourceSettings("finance", None, (SECRET, SECRET)),
)


def test_sources_are_read_from_json_and_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "sources.json"
    file.write_text(json.dumps(ROWS))
    assert parse_sources(json.dumps(ROWS)) == parse_sources(f" {file} ") == SOURCES


def test_nothing_is_no_source() -> None:
    assert parse_sources(" ") == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "not a JSON list"),
        ('{"name": "a", "token": "secret-1"}', "not a JSON list"),
        ("[1]", "not a JSON list"),
        ('[{"name": "a", "tokens": "secret-1"}]', r"unknown fields \['tokens'\]"),
        ('[{"name": "a", "token": 17}]', "'token' of a source must be text"),
        ('[{"name": "a", "token": "secret-1", "networks": [1]}]', "'networks' of a source"),
        ('[{"name": "a", "token": "secret-1", "networks": ["x"]}]', "network that is none"),
        ('[{"name": "a", "token": "secret-1", "rate_per_minute": "60"}]', "whole number"),
        ('[{"name": "a", "token": "secret-1", "rate_per_minute": 0}]', "at least 1"),
        ('[{"name": "a"}]', "has no credential"),
        ("missing.json", "'missing.json' cannot be read: No such file"),
    ],
)
def test_sources_that_cannot_be_meant_are_refused_without_a_secret(text: str, message: str) -> None:
    with pytest.raises(PushMetricsConfigurationError, match=message) as refusal:
        parse_sources(text)
    assert "secret-1" not in str(refusal.value)


def test_options_with_a_credential_describe_a_source() -> None:
    options = StandaloneOptions(token="t", signing_secrets=(SECRET,), source="demo")
    assert build_first_source(options, rate_per_minute=6) == (
        SourceSettings("demo", "t", (SECRET,), rate_per_minute=6),
    )
    assert build_first_source(StandaloneOptions()) == ()
