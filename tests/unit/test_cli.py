from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from airflow_provider_pushmetrics import __version__
from airflow_provider_pushmetrics.cli import build_app, describe_missing_extra, main

COMMANDS = [[], ["receiver"], ["service"]]

HIDE_EXTRAS = """
import sys
for name in ("alembic", "uvicorn", "starlette", "fastapi", "prometheus_client", "duckdb", "pyarrow"):
    sys.modules[name] = None
"""


def run_command(arguments: list[str], path: Path) -> subprocess.CompletedProcess[str]:
    code = "import sys; from airflow_provider_pushmetrics.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(path), str(Path.cwd())]), "HOME": str(path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


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


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        ("receiver --token secret --reader-token other", "receiver"),
        ("service", "service"),
        ("worker --database-url postgresql://127.0.0.1:1/none", "service"),
    ],
)
def test_a_missing_extra_is_named_with_the_way_out(tmp_path: Path, command: str, extra: str) -> None:
    """As on a plain install: the modules of the extras cannot be imported."""
    (tmp_path / "sitecustomize.py").write_text(HIDE_EXTRAS, "utf-8")
    result = run_command(command.split(), tmp_path)
    assert result.returncode == 1
    assert f"this command needs the extra {extra!r}" in result.stderr
    install = f"pip install 'apache-airflow=={metadata.version('apache-airflow')}'"
    assert f"{install} 'airflow-provider-pushmetrics[{extra}]'" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["receiver", "--help"], ["service", "--help"]]
)
def test_version_and_help_need_no_extra(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "sitecustomize.py").write_text(HIDE_EXTRAS, "utf-8")
    result = run_command(arguments, tmp_path)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("version", "sqlalchemy", "is_apart"),
    [
        ("2.11.0", "1.4.54", True),
        ("3.0.6", "1.4.54", True),
        ("3.1.0", "1.4.54", True),
        ("3.1.8", "2.0.43", False),
        ("3.1.8", None, False),
    ],
)
def test_an_old_airflow_or_sqlalchemy_needs_an_environment_of_its_own_for_the_extras(
    version: str, sqlalchemy: str | None, is_apart: bool
) -> None:
    text = describe_missing_extra(ModuleNotFoundError("no", name="uvicorn"), "receiver", version, sqlalchemy)
    assert ("in a separate virtual environment" in text) is is_apart
    assert (f"'apache-airflow=={version}'" in text) is not is_apart
    assert "'uvicorn' is missing" in text


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
