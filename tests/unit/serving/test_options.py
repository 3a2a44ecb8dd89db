"""Options as commands, the environment and the documentation see them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import pytest
import typer
from typer.testing import CliRunner

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.serving.options import list_options, option, parse_options, take_options


@dataclass(frozen=True, kw_only=True)
class Settings:
    PREFIX: ClassVar = "PUSHMETRICS_TEST_"

    data_dir: Path = option(Path("data"), "Where.", flag="data")
    port: int = option(8090, "The port.", ge=1, le=65535)
    days: float | None = option(None, "How long.", gt=0)
    is_quiet: bool = option(False, "No lines.", flag="quiet")
    form: Literal["text", "json"] = option("text", "The form.")
    folders: tuple[Path, ...] = option((), "More.", flag="folder", variable="FOLDERS")
    secrets: tuple[str, ...] = option((), "Secrets.", flag="secret", secret=True)
    pin: int | None = option(None, "A secret number.", flag="", secret=True)
    rounds: int = 3


def run(*arguments: str, **environment: str) -> tuple[Settings | None, str]:
    """Run a command with these options; its exit code is 0 if it has got settings, else 2."""
    taken: list[Settings] = []
    app = typer.Typer(rich_markup_mode=None)
    app.command()(take_options(Settings, without=("form",))(taken.append))
    variables = {f"PUSHMETRICS_TEST_{name}": value for name, value in environment.items()}
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200", **variables})
    assert result.exit_code == (0 if taken or "--help" in arguments else 2), result.output
    return (taken[0] if taken else None), result.output


def test_defaults_are_those_of_the_dataclass() -> None:
    assert run()[0] == run(PORT="", SECRET=" ", PIN="")[0] == Settings()


def test_values_come_from_the_command_line_and_then_from_the_environment() -> None:
    assert run("--port", "1", "--quiet", PORT="2", DAYS="0.5", DATA="x", PIN="7")[0] == Settings(
        data_dir=Path("x"), port=1, days=0.5, is_quiet=True, pin=7
    )
    assert run("--no-quiet", QUIET="true")[0] == Settings()
    assert run(QUIET="true")[0] == Settings(is_quiet=True)


def test_lists_are_repeated_or_separated() -> None:
    assert run("--secret", "a", "--secret", "b")[0] == run(SECRET="a, b")[0] == Settings(secrets=("a", "b"))
    assert run(FOLDERS="a,1:b c")[0] == Settings(folders=(Path("a,1"), Path("b c")))
    assert run("--folder", "a,1", "--folder", "b c")[0] == Settings(folders=(Path("a,1"), Path("b c")))


def test_option_that_a_command_does_not_have_is_not_read() -> None:
    assert run(FORM="xml")[0] == Settings()
    assert "No such option: --form" in run("--form", "json")[1]
    assert "No such option: --pin" in run("--pin", "1")[1]


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["--port", "0"], {"PORT": "1"}, "--port is '0': it must be greater than or equal to 1."),
        ([], {"PORT": "65536"}, "PUSHMETRICS_TEST_PORT is '65536': it must be less than or equal to 65535."),
        ([], {"PORT": "many"}, "PUSHMETRICS_TEST_PORT is 'many': it must be a valid integer"),
        (["--port", "8090x"], {}, "The default is '8090'."),
        (["--days", "nan"], {}, "--days is 'nan': it must be greater than 0. It can be left out."),
        (
            ["--secret", "s3cret"],
            {"PIN": "s3cret"},
            "TEST_PIN is not valid: it must be a valid int",
        ),
        ([], {"QUIET": "perhaps"}, "PUSHMETRICS_TEST_QUIET"),
    ],
)
def test_wrong_value_is_refused_by_its_name(
    arguments: list[str], environment: dict[str, str], message: str
) -> None:
    settings, output = run(*arguments, **environment)
    assert settings is None
    assert message in output
    assert "s3cret" not in output


def test_secret_comes_from_a_file_that_a_variable_names(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("a, b\n", "utf-8")
    second.write_text(" 7\n", "utf-8")
    assert run(SECRET_FILE=str(first), PIN_FILE=str(second))[0] == Settings(secrets=("a", "b"), pin=7)
    assert run("--secret", "c", SECRET_FILE=str(first))[0] == Settings(secrets=("c",))
    assert run(SECRET_FILE=" ", PIN_FILE="")[0] == Settings()


def test_only_secrets_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "port").write_text("9", "utf-8")
    assert run(PORT_FILE=str(tmp_path / "port"))[0] == Settings()


@pytest.mark.parametrize("name", ["SECRET", "PIN"])
@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file or directory"), (b" \n", "it is empty"), (b"\xff", "it is not text in UTF-8")],
)
def test_file_of_a_secret_that_cannot_be_used_is_refused(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    """A secret must not count as not set, which could mean that no token is asked for."""
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    settings, output = run(**{f"{name}_FILE": str(path)})
    assert settings is None
    assert f"PUSHMETRICS_TEST_{name}_FILE names the file" in output
    assert message in output


@pytest.mark.parametrize("name", ["SECRET", "PIN"])
def test_secret_that_is_set_twice_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("5", "utf-8")
    settings, output = run(**{name: "4", f"{name}_FILE": str(tmp_path / "secret")})
    assert settings is None
    assert f"PUSHMETRICS_TEST_{name} and PUSHMETRICS_TEST_{name}_FILE are both set" in output


def test_help_shows_type_variable_and_default() -> None:
    output = " ".join(run("--help", PIN="1", SECRET="s3cret")[1].split())
    assert "--port INTEGER" in output
    assert "The port. [env var: PUSHMETRICS_TEST_PORT; default: 8090]" in output
    assert "--folder PATH" in output
    assert "s3cret" not in output
    assert "PUSHMETRICS_TEST_PIN: A secret number." in output


def test_choices_are_named() -> None:
    with pytest.raises(PushMetricsConfigurationError, match=r"^form is 'xml': it must be 'text' or 'json'\."):
        parse_options(Settings, {"form": "xml"}, lambda option: option.name)


def test_what_is_no_option_is_not_set() -> None:
    assert parse_options(Settings, {"rounds": "4", "other": "5"}, lambda option: option.name) == Settings()


def test_secrets_are_not_shown() -> None:
    assert {option.name for option in list_options(Settings) if option.is_secret} == {"secrets", "pin"}
    assert "s3cret" not in repr(Settings(secrets=("s3cret",)))
