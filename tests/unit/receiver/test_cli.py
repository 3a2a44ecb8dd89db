from __future__ import annotations

import pytest
from typer.testing import CliRunner

from airflow_provider_pushmetrics.receiver.cli import app
from tests.fakes.kept_logging import keep_logging

runner = CliRunner()


def test_help_does_not_show_a_token_from_the_environment() -> None:
    result = runner.invoke(app, ["--help"], env={"PUSHMETRICS_RECEIVER_TOKEN": "a-real-token"})
    assert "a-real-token" not in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "has no source"),
        (["--token", "t"], "no reader token"),
        (["--reader-token", "r"], "has no source"),
        (["--signing-secret", "nonsense", "--reader-token", "r"], "signing secret is invalid"),
        (["--token", "t", "--reader-token", "r", "--inbox", "mysql://u:pw-x@h/d"], "cannot be"),
        (["--token", "t", "--reader-token", "r", "--inbox", "sqlite://"], "would lose"),
        (["--token", "t", "--reader-token", "r", "--inbox", "sqlite:////dev/null/x"], "does not exist"),
    ],
)
def test_receiver_that_cannot_be_safe_does_not_start(arguments: list[str], message: str) -> None:
    with keep_logging():
        result = runner.invoke(app, [*arguments, "--port", "0"])
    assert result.exit_code == 1
    assert message in result.output
    assert "nonsense" not in result.output
    assert "pw-x" not in result.output
