"""Every form of the connection in docs/how-to/connections.md is the same connection."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from airflow.cli.cli_parser import get_parser
from airflow.models.connection import Connection

from airflow_provider_pushmetrics.hooks.settings import PushMetricsSettings

PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "connections.md"


def read_forms() -> dict[str, Connection]:
    """Read each block of the page as Airflow reads it."""
    forms: dict[str, Connection] = {}
    for block in re.findall(r"```bash\n(.*?)```", PAGE.read_text("utf-8"), re.S):
        words = shlex.split(block.replace("\\\n", ""))
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            assert name == "AIRFLOW_CONN_PUSHMETRICS_DEFAULT"
            forms["variable with " + ("JSON" if value.startswith("{") else "a URI")] = parse_value(value)
        elif words[:3] == ["airflow", "connections", "add"]:
            given = get_parser().parse_args(words[1:])
            assert given.conn_id == "pushmetrics_default"
            if given.conn_json:
                forms["command with JSON"] = parse_value(given.conn_json)
            else:
                forms["command"] = Connection(
                    conn_type=given.conn_type,
                    host=given.conn_host,
                    password=given.conn_password,
                    extra=given.conn_extra,
                )
    return forms


def parse_value(value: str) -> Connection:
    """Parse the value of a variable, of a secrets backend, or of ``--conn-json``."""
    if value.startswith("{"):
        return Connection.from_json(value, "pushmetrics_default")
    return Connection("pushmetrics_default", uri=value)


def test_all_forms_of_the_page_are_the_same_connection() -> None:
    forms = read_forms()
    assert set(forms) == {"command", "command with JSON", "variable with JSON", "variable with a URI"}
    for connection in forms.values():
        settings = PushMetricsSettings.from_connection(connection, connection.extra_dejson)
        assert connection.conn_type == "pushmetrics"
        assert settings.base_url == "https://pushmetrics.io"
        assert settings.api_token == "pmpat_aaaa"
        assert settings.get_trigger_token("1") == "bbbb"
        receiver = settings.get_receiver()
        assert receiver.url == "https://airflow.example.com/pushmetrics"
        assert receiver.reader_token == "cccc"


def test_the_path_of_a_uri_is_the_scheme() -> None:
    connection = Connection("local", uri="pushmetrics://:pmpat_aaaa@127.0.0.1:8090/http")
    settings = PushMetricsSettings.from_connection(connection, connection.extra_dejson)
    assert settings.base_url == "http://127.0.0.1:8090"
