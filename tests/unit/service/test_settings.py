"""Settings, and what follows from them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.cli import app
from airflow_provider_pushmetrics.service.datasources.limits import QueryLimits
from airflow_provider_pushmetrics.service.egress.rules import EgressRules
from airflow_provider_pushmetrics.service.settings import (
    ServiceSettings,
    check_database_url,
    check_source_urls,
)


@pytest.mark.parametrize(
    ("host", "public_url", "expected"),
    [
        ("127.0.0.1", None, "http://127.0.0.1:8090"),
        ("0.0.0.0", None, "http://127.0.0.1:8090"),
        ("::1", None, "http://[::1]:8090"),
        ("0.0.0.0", "https://push.example/base/", "https://push.example/base"),
    ],
)
def test_links_begin_with_what_can_be_called(host: str, public_url: str | None, expected: str) -> None:
    assert ServiceSettings(Path("d"), host=host, public_url=public_url).base_url == expected


def test_sqlite_is_the_default_and_postgresql_takes_everything() -> None:
    assert ServiceSettings(Path("/d")).store_url == "sqlite:////d/service.db"
    shared = ServiceSettings(Path("/d"), database_url="postgresql+psycopg://h/d")
    assert shared.store_url == "postgresql+psycopg://h/d"


@pytest.mark.parametrize("url", ["postgresql://u:p@h/d", "postgresql+psycopg://u:p@h/d"])
def test_database_url_gets_the_driver_that_is_installed(url: str) -> None:
    assert check_database_url(url) == "postgresql+psycopg://u:p@h/d"


@pytest.mark.parametrize("url", ["mysql://u:secret@h/d", "not a url secret", "sqlite:///x?secret"])
def test_other_databases_are_refused_without_showing_the_url(url: str) -> None:
    with pytest.raises(PushMetricsConfigurationError, match="not one of PostgreSQL") as caught:
        check_database_url(url)
    assert "secret" not in str(caught.value)


def test_no_database_url_is_none() -> None:
    assert check_database_url(None) is None
    assert check_database_url("") is None


def test_events_go_to_public_endpoints_only_unless_that_is_set() -> None:
    assert ServiceSettings(Path("d")).egress_rules == EgressRules()
    assert ServiceSettings(Path("d"), demo=True).egress_rules == EgressRules(allow_loopback=True)
    private = ServiceSettings(Path("d"), allow_private_endpoints=True)
    assert private.egress_rules == EgressRules(allow_private=True)


def test_secrets_are_not_in_the_representation() -> None:
    settings = ServiceSettings(
        Path("d"), bootstrap_token="s3cret", secret_keys=("s3cret",), database_url="postgresql://u:s3cret@h/d"
    )
    assert "s3cret" not in repr(settings)


def test_limits_of_queries_are_settings() -> None:
    settings = ServiceSettings(
        Path("d"), max_query_rows=1, query_timeout_seconds=2, max_query_memory_bytes=3, max_value_bytes=4
    )
    assert settings.query_limits == QueryLimits(1, 2, 3, 4)
    assert ServiceSettings(Path("d")).query_limits == QueryLimits()


@pytest.mark.parametrize("option", ["--max-query-rows", "--query-timeout-seconds"])
def test_limit_of_queries_that_cannot_be_stored_is_refused(option: str, tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["--data", str(tmp_path / "new"), option, str(2**31)])
    assert answer.exit_code == 2
    assert option in answer.stderr
    assert not (tmp_path / "new").exists()


def test_folders_of_object_storage_that_may_be_queried_end_without_a_slash() -> None:
    assert check_source_urls(["s3://b/open/", "s3://other"], "s3://b/results") == (
        "s3://b/open",
        "s3://other",
    )
    assert check_source_urls([], "s3://b") == ()


@pytest.mark.parametrize("url", ["s3://key:secret@b/x", "s3://b/x?key=secret", "http://secret/x", "/secret"])
def test_folder_of_object_storage_that_cannot_be_used_is_not_shown(url: str) -> None:
    with pytest.raises(PushMetricsConfigurationError, match="--source-url") as caught:
        check_source_urls([url], None)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["s3://b", "s3://b/results", "s3://b/results/", "s3://b/results/run-1"])
def test_results_of_all_workspaces_cannot_be_queried(url: str) -> None:
    with pytest.raises(PushMetricsConfigurationError, match="use different ones"):
        check_source_urls([url], "s3://b/results")
