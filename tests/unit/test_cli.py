from __future__ import annotations

import builtins
import subprocess
import sys
from typing import Any

import pytest
from typer.testing import CliRunner

from airflow_provider_pushmetrics import __version__
from airflow_provider_pushmetrics.cli import build_app, main

COMMANDS = [[], ["receiver"], ["service"]]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command) or "pushmetrics")
def test_each_command_explains_itself(command: list[str]) -> None:
    result = CliRunner().invoke(build_app(), [*command, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert result.exit_code == 0, result.output
    assert "Usage" in result.output


def test_help_names_environment_variables_whole_in_a_narrow_terminal() -> None:
    text = CliRunner().invoke(build_app(), ["receiver", "--help"], env={"COLUMNS": "80"}).output
    assert "PUSHMETRICS_RECEIVER_SIGNING_SECRET" in text


def test_the_command_names_its_parts() -> None:
    output = CliRunner().invoke(build_app(), ["--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).output
    assert "receiver" in output
    assert "service" in output


def test_the_command_says_its_version() -> None:
    result = CliRunner().invoke(build_app(), ["--version"])
    assert (result.exit_code, result.output) == (0, f"airflow-provider-pushmetrics {__version__}\n")


def test_the_command_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["pushmetrics", "--help"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    assert "Usage" in capsys.readouterr().out


def test_an_unknown_command_is_a_wrong_command_line() -> None:
    result = CliRunner().invoke(build_app(), ["nonsense"])
    assert result.exit_code == 2


def test_tracebacks_show_no_locals_because_they_hold_tokens() -> None:
    assert build_app().pretty_exceptions_show_locals is False


def test_a_missing_extra_is_named_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real_import = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "typer":
            raise ModuleNotFoundError("No module named 'typer'", name="typer")
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    said = capsys.readouterr().err
    assert "'typer' is missing" in said
    assert "pip install 'airflow-provider-pushmetrics[receiver]'" in said


def test_the_command_line_is_light() -> None:
    code = """
import sys
from airflow_provider_pushmetrics import __version__
from airflow_provider_pushmetrics.cli import build_app
build_app()
heavy = "airflow fastapi starlette sqlalchemy duckdb httpx pyarrow pydantic uvicorn".split()
print(sorted(set(heavy) & {name.partition(".")[0] for name in sys.modules}))
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout.strip() == "[]"
