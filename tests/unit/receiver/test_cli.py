from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from airflow_provider_pushmetrics.receiver.cli import app
from airflow_provider_pushmetrics.receiver.settings import HELP, get_environment_name

runner = CliRunner()


def test_help_names_every_option_and_its_environment_variable() -> None:
    result = runner.invoke(app, ["--help"], env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"})
    assert result.exit_code == 0
    for option in HELP:
        assert f"--{option.replace('_', '-')}" in result.output
        assert get_environment_name(option) in result.output


def test_help_does_not_show_a_token_from_the_environment() -> None:
    result = runner.invoke(app, ["--help"], env={get_environment_name("token"): "a-real-token"})
    assert "a-real-token" not in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "has no credential"),
        (["--token", "t"], "no reader token"),
        (["--reader-token", "r"], "has no credential"),
        (["--signing-secret", "nonsense", "--reader-token", "r"], "signing secret is invalid"),
        (["--token", "t", "--reader-token", "r", "--inbox", "mysql://u:pw-x@h/d"], "cannot be"),
        (["--token", "t", "--reader-token", "r", "--inbox", "sqlite://"], "cannot be opened"),
    ],
)
def test_receiver_that_cannot_be_safe_does_not_start(arguments: list[str], message: str) -> None:
    result = runner.invoke(app, [*arguments, "--port", "0"])
    assert result.exit_code == 1
    assert message in result.output
    assert "nonsense" not in result.output
    assert "pw-x" not in result.output


def test_command_is_light_at_import() -> None:
    code = (
        "import sys, airflow_provider_pushmetrics.receiver.cli;"
        "heavy = {'sqlalchemy', 'starlette', 'uvicorn', 'alembic', 'airflow'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
