"""The files and tests that the architecture page names exist, and every folder is on its map."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_provider_pushmetrics.events import EVENT_NAMES
from airflow_provider_pushmetrics.service.webhooks import event_outbox, run_events

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "airflow_provider_pushmetrics"
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
FILES = sorted(set(re.findall(r"[a-z_0-9]+(?:/[a-z_0-9]+)*\.(?:py|js|md|toml|cfg|json)\b", PAGE)))
NAMES = re.findall(r"`([\w/]+\.(?:py|js))`,? ?\(`(\w+)`", PAGE.replace("\n   ", " "))
TESTS = re.findall(r"`(tests/\S+\.py)::(test_\w+)`", PAGE)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_the_page_names_exists(name: str) -> None:
    assert (PACKAGE / name).is_file() or (ROOT / name).is_file()


@pytest.mark.parametrize(("path", "name"), NAMES)
def test_a_name_behind_a_file_is_in_it(path: str, name: str) -> None:
    file = PACKAGE / path if (PACKAGE / path).is_file() else ROOT / path
    assert re.search(rf"\b{name}\b", file.read_text("utf-8"))


@pytest.mark.parametrize(("path", "name"), TESTS)
def test_a_test_that_the_page_names_exists(path: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text("utf-8"), re.M)


def test_every_folder_of_the_package_is_on_the_map() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert {name for name in folders if not re.search(rf"\b{name}\b", PAGE)} == set()


@pytest.mark.parametrize("part", ["service", "receiver"])
def test_every_folder_of_a_server_is_on_the_map(part: str) -> None:
    folders = {path.parent.name for path in (PACKAGE / part).glob("*/__init__.py")}
    assert {name for name in folders if not re.search(rf"\b{name}\b", PAGE)} == set()


def test_the_service_sends_the_events_that_the_contract_names() -> None:
    named = {**vars(event_outbox), **vars(run_events)}
    sent = {value for name, value in named.items() if name.startswith(("REPORT_", "QUERY_"))}
    assert sent == set(EVENT_NAMES)
