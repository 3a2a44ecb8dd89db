from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from airflow_provider_pushmetrics.get_provider_info import CONNECTION_FIELDS
from airflow_provider_pushmetrics.hooks.connection_form import SHOWN, build_behavior, build_widgets
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from tests.fakes.airflow_versions import AIRFLOW_VERSION


def build_field(kind: str) -> Any:
    return lambda label, **facts: SimpleNamespace(kind=kind, label=label, **facts)


@pytest.fixture
def old_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put what Airflow's old interface brings in its place; Airflow 3.0 and 3.1 do so as well."""
    parts: dict[str, dict[str, Any]] = {
        "flask_appbuilder": {},
        "flask_appbuilder.fieldwidgets": {
            "BS3PasswordFieldWidget": lambda: "password widget",
            "BS3TextFieldWidget": lambda: "text widget",
        },
        "flask_babel": {"lazy_gettext": lambda text: text},
        "wtforms": {"PasswordField": build_field("password"), "StringField": build_field("text")},
    }
    for name, members in parts.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.usefixtures("old_interface")
def test_the_form_of_old_versions_has_the_fields_that_the_metadata_declares() -> None:
    widgets = PushMetricsHook.get_connection_form_widgets()
    assert widgets == build_widgets()
    assert {name: (field.label, field.description) for name, field in widgets.items()} == {
        name: (declared["label"], declared["description"] + (SHOWN if is_shown(name) else ""))
        for name, declared in CONNECTION_FIELDS.items()
    }


def is_shown(name: str) -> bool:
    """Tell whether the form of this Airflow shows a secret while it is typed."""
    return (3, 0) <= AIRFLOW_VERSION < (3, 2) and name in ("trigger_tokens", "receiver_token")


@pytest.mark.usefixtures("old_interface")
def test_the_form_of_old_versions_shows_no_token() -> None:
    kinds = {name: (field.kind, field.widget) for name, field in build_widgets().items()}
    hidden = {name for name, kind in kinds.items() if kind == ("password", "password widget")}
    assert hidden == {"trigger_tokens", "receiver_token"}
    assert {kind for name, kind in kinds.items() if name not in hidden} == {("text", "text widget")}


def test_the_form_of_old_versions_hides_and_names_fields_as_that_of_new_ones() -> None:
    assert PushMetricsHook.get_ui_field_behaviour() == build_behavior()
    assert build_behavior() == {
        "hidden_fields": ["login", "schema", "port"],
        "relabeling": {"host": "Host", "password": "API token"},
        "placeholders": {"host": "https://pushmetrics.io", "password": "pmpat_…"},
    }
