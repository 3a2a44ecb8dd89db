"""The connection form for Airflow before 3.2, built from the metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_pushmetrics.compat import has_airflow
from airflow_provider_pushmetrics.get_provider_info import CONNECTION_FIELDS, get_provider_info

SHOWN = (
    " Airflow 3.1 shows it while it is typed: better configure it elsewhere, such as in a secrets backend."
)
"""In that version, no field of a provider can be masked, whatever it declares; Airflow's own is."""


def build_widgets() -> dict[str, Any]:
    """Build a field of the form for each extra that the metadata declares."""
    # These are part of the interface of Airflow 2; that of 3.0 and 3.1 has substitutes under the same names.
    from flask_appbuilder.fieldwidgets import (  # type: ignore[import-not-found]
        BS3PasswordFieldWidget,
        BS3TextFieldWidget,
    )
    from flask_babel import lazy_gettext  # type: ignore[import-not-found]
    from wtforms import PasswordField, StringField  # type: ignore[import-untyped]

    shows_secrets = has_airflow("3.0") and not has_airflow("3.2")

    def build(declared: Mapping[str, Any]) -> Any:
        is_secret = declared["schema"].get("format") == "password"
        field, widget = (
            (PasswordField, BS3PasswordFieldWidget) if is_secret else (StringField, BS3TextFieldWidget)
        )
        note = SHOWN if is_secret and shows_secrets else ""
        return field(
            lazy_gettext(declared["label"]), description=declared["description"] + note, widget=widget()
        )

    return {name: build(declared) for name, declared in CONNECTION_FIELDS.items()}


def build_behavior() -> dict[str, Any]:
    """Return which of Airflow's own fields the form shows, as the metadata declares it."""
    (declared,) = get_provider_info()["connection-types"]
    behavior = declared["ui-field-behaviour"]
    return {name.replace("-", "_"): value for name, value in behavior.items()}
