from __future__ import annotations

import importlib
import json
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import airflow
import jsonschema  # type: ignore[import-untyped]
import pytest

from airflow_provider_pushmetrics.get_provider_info import get_provider_info

INFO = get_provider_info()
SCHEMA = Path(airflow.__file__).parent / "provider_info.schema.json"


def test_the_metadata_is_what_airflow_expects() -> None:
    jsonschema.validate(INFO, json.loads(SCHEMA.read_text()))


def test_airflow_finds_the_metadata_by_its_entry_point() -> None:
    (entry,) = [
        entry
        for entry in entry_points(group="apache_airflow_provider")
        if entry.dist is not None and entry.dist.name == INFO["package-name"]
    ]
    assert entry.name == "provider_info"
    assert entry.load() is get_provider_info


def test_each_caller_gets_metadata_of_his_own_at_the_top() -> None:
    assert get_provider_info() == INFO
    assert get_provider_info() is not INFO


@pytest.mark.parametrize("kind", ["hooks", "operators", "sensors", "triggers"])
def test_the_modules_that_the_metadata_lists_can_be_imported(kind: str) -> None:
    for group in INFO[kind]:
        assert group["integration-name"] == INFO["integrations"][0]["integration-name"]
        for name in group["python-modules"]:
            assert importlib.import_module(name)


def test_the_form_hides_every_field_that_holds_a_secret() -> None:
    fields: dict[str, Any] = INFO["connection-types"][0]["conn-fields"]
    secret = {name for name in fields if "token" in name}
    hidden = {name for name, field in fields.items() if field["schema"].get("format") == "password"}
    assert hidden == secret


def test_no_field_of_the_form_must_be_filled_in() -> None:
    fields: dict[str, Any] = INFO["connection-types"][0]["conn-fields"]
    assert all("null" in field["schema"]["type"] for field in fields.values())


@pytest.mark.parametrize("name", ["token", "signing_secrets", "reader_token"])
def test_an_option_that_holds_a_secret_is_marked_and_has_no_default(name: str) -> None:
    option = INFO["config"]["pushmetrics"]["options"][name]
    assert (option["sensitive"], option["default"]) == (True, None)
