from __future__ import annotations

import ast
import builtins
import copy
import inspect
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_pushmetrics import exceptions
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsApiError,
    PushMetricsError,
    PushMetricsParameterError,
    PushMetricsRunError,
    PushMetricsUnavailableError,
    rebuild_error,
)

PACKAGE = Path(exceptions.__file__).parent
ELSEWHERE = {
    "client.protocol.NetworkError": "transports raise it, and each call turns it into a PushMetricsError",
    "serving.parameter_types.ParameterValueError": "of the service; `dag check` makes a difference of it",
    "serving.commit_signals.CannotListenError": "the watch polls after it; it reaches nobody",
    "triggers.hub.wait_index.ConnectionChangedError": "a hub tells its waits so that their settings changed",
}
"""The exceptions of the provider and the client that are defined outside of ``exceptions``."""

ALL = [
    member
    for _, member in inspect.getmembers(exceptions, inspect.isclass)
    if member.__module__ == exceptions.__name__
]


def list_defined(*, is_server: bool) -> Iterator[tuple[str, ast.ClassDef]]:
    """List the exception classes outside of ``exceptions``: of the two servers, or of all else."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts == ("exceptions",) or (parts[0] in ("receiver", "service")) != is_server:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef) and any(map(is_exception, node.bases)):
                yield ".".join([*parts, node.name]), node


def is_failure(name: str) -> bool:
    return name.startswith("tasks.failures.")


def is_exception(base: ast.expr) -> bool:
    """Return whether the name of a base class is that of an exception."""
    name = ast.unparse(base).rpartition(".")[2]
    known = getattr(exceptions, name, None) or getattr(builtins, name, None)
    return name.endswith(("Error", "Exception")) or (
        isinstance(known, type) and issubclass(known, BaseException)
    )


def list_tree() -> list[str]:
    """List the names that the module's docstring draws, with their depth."""
    drawing = (exceptions.__doc__ or "").split("::", 1)[1]
    lines = [line for line in drawing.splitlines() if "Error" in line or "Run" in line]
    return [line.strip("│├└─ ").split()[0] for line in lines if "──" in line or "PushMetricsError" in line]


@pytest.mark.parametrize("error_class", ALL)
def test_an_error_is_built_from_its_message_alone(error_class: type[Exception]) -> None:
    error = error_class("what, the rule, the way out")
    assert str(error) == "what, the rule, the way out"


@pytest.mark.parametrize("error_class", ALL)
def test_an_error_belongs_to_the_family(error_class: type[Exception]) -> None:
    assert issubclass(error_class, PushMetricsError)


@pytest.mark.parametrize("error_class", ALL)
@pytest.mark.parametrize("clone", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_survives_pickling_with_its_facts(error_class: type[Exception], clone: object) -> None:
    error = error_class("message")
    for name in vars(error):
        setattr(error, name, 7)
    assert callable(clone)
    again = clone(error)
    assert type(again) is error_class
    assert str(again) == "message"
    assert vars(again) == vars(error)


def test_facts_are_optional_attributes() -> None:
    assert PushMetricsApiError("message").status_code is None
    assert PushMetricsApiError("message", status_code=418).status_code == 418
    assert PushMetricsUnavailableError("message").retry_after_seconds is None
    assert PushMetricsUnavailableError("message", retry_after_seconds=2.0).retry_after_seconds == 2.0
    assert PushMetricsRunError("message", run_id=7).run_id == 7


def test_a_wrong_parameter_is_a_value_error_too() -> None:
    assert issubclass(PushMetricsParameterError, ValueError)


def test_the_drawing_in_the_docstring_shows_every_error() -> None:
    assert sorted(list_tree()) == sorted(error_class.__name__ for error_class in ALL)


@pytest.mark.parametrize("error_class", ALL)
def test_an_error_is_built_again_from_its_name_and_message(error_class: type[Exception]) -> None:
    again = rebuild_error(error_class.__name__, "message")
    assert type(again) is error_class
    assert str(again) == "message"


@pytest.mark.parametrize(
    "name", [None, "", "ErrorOfALaterVersion", "SystemExit", "annotations", "rebuild_error"]
)
def test_an_error_that_nobody_knows_may_not_last(name: str | None) -> None:
    assert type(rebuild_error(name, "message")) is PushMetricsUnavailableError


def test_every_error_of_the_provider_is_defined_in_one_module() -> None:
    assert {name for name, _ in list_defined(is_server=False) if not is_failure(name)} <= set(ELSEWHERE)


def test_what_is_not_retried_is_an_error_of_the_tree_and_of_airflow() -> None:
    for name, node in list_defined(is_server=False):
        if is_failure(name):
            known, airflows = (ast.unparse(base) for base in node.bases)
            assert (hasattr(exceptions, known), airflows) == (True, "AirflowFailException")


@pytest.mark.parametrize(
    ("name", "node"), [pytest.param(name, node, id=name) for name, node in list_defined(is_server=True)]
)
def test_no_error_of_the_receiver_and_the_service_is_a_bare_exception(name: str, node: ast.ClassDef) -> None:
    """``WorkInterruptedError`` alone is a BaseException: no handler of failures may end its work."""
    assert "Exception" not in [ast.unparse(base) for base in node.bases]
