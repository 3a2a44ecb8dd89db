"""
Options, each declared once, as a field of a frozen dataclass.

For example::

    port: int = option(8090, "The port to listen on.", ge=1, le=65535)

The option of the command with its help, the environment variable, the option in ``airflow.cfg``, the
validation and the table in the documentation follow from the field.

pydantic validates the values. Only the standard library is imported before that: Airflow reads the options of
``airflow.cfg`` in every process, even if no extra is installed. So they cannot be declared by a class of
pydantic-settings, and typer would need each of its options a second time.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError

if TYPE_CHECKING:
    import typer

T = TypeVar("T")

CONNECTIONS_PER_ADDRESS = 512
"""Half of the files that a process may usually open."""

FILE_SUFFIX = "_FILE"
"""Ends the variable that names the file with a secret."""

METAVARS = {str: "TEXT", int: "INTEGER", float: "NUMBER", Path: "PATH"}

MAX_SHOWN_LENGTH = 200
"""A longer value is cut off in a message."""


def option(
    default: Any,
    help: str,
    *,
    flag: str | None = None,
    variable: str | None = None,
    secret: bool = False,
    **bounds: float,
) -> Any:
    """
    Declare an option, as a field of a dataclass.

    :param default: Its value when it is not set; ``MISSING`` if it must be set.
    :param help: What it does.
    :param flag: Its name on the command line, unless it is the field's. Empty if it has none.
    :param variable: The end of its environment variable, unless it is the flag's name.
    :param secret: Whether its value is left out of all messages.
    :param bounds: ``gt``, ``ge`` and ``le`` as in pydantic.
    """
    metadata = {"help": help, "flag": flag, "variable": variable, "bounds": bounds}
    return field(default=default, repr=not secret, metadata=metadata)


def listen_url_option() -> Any:
    """Declare ``--listen-database-url``, which is the same for the service and the receiver."""
    return option(
        None,
        "The URL of the same database without the pooler if PostgreSQL is behind one, such as PgBouncer: to"
        " listen for notifications, back up and restore. Without it, a database behind a pooler is polled"
        " every second, and neither backed up nor restored.",
        secret=True,
    )


def wait_option(awaited: str) -> Any:
    """
    Declare ``--wait-for-database``.

    :param awaited: What is waited for.
    """
    return option(
        60.0,
        f"The maximum seconds to wait for {awaited} at the start.",
        flag="wait-for-database",
        variable="WAIT_FOR_DATABASE",
        ge=0,
    )


def connections_option() -> Any:
    """Declare ``--connections-per-address``, which is the same for the service and the receiver."""
    return option(
        CONNECTIONS_PER_ADDRESS,
        "How many connections one address, or one /64 network of IPv6, may have at a time; 0 for no limit."
        " Behind a proxy, all connections come from the proxy's address.",
        ge=0,
    )


def log_format_option() -> Any:
    """Declare ``--log-format``, which is the same for the service and the receiver."""
    return option("text", "The format of log lines: text or json.")


@dataclass(frozen=True)
class DeclaredOption:
    """
    An option as it was declared.

    :param kind: The type of its value when it is set.
    :param bounds: What :func:`option` got.
    :param default: Its value when it is not set.
    :param is_secret: Whether its value must not be shown.
    :param flag: Its name on the command line, such as ``--port``; empty if it has none.
    :param variable: Its environment variable.
    """

    name: str
    help: str
    kind: Any
    default: Any
    is_secret: bool
    flag: str
    variable: str
    bounds: Mapping[str, Any]

    @property
    def file_variable(self) -> str:
        """The environment variable that names a file with the value; empty unless it is a secret."""
        return self.variable + FILE_SUFFIX if self.is_secret else ""

    def prepare(self, value: Any) -> Any:
        """
        Prepare a value for pydantic: texts of a list may stand in one text, with commas or spaces.

        What is neither a text nor a list is left as it is, and pydantic refuses it.
        """
        if get_origin(self.kind) is not tuple:
            return "" if value is None else str(value).strip()
        if value is not None and not isinstance(value, str | list | tuple):
            return value
        if get_args(self.kind)[0] is not str:
            return tuple(value or ())
        texts = [value] if isinstance(value, str) else value or ()
        return tuple(" ".join(map(str, texts)).replace(",", " ").split())

    def describe_default(self) -> str:
        """Write the default as a user would set it; empty if there is none."""
        if self.default in (MISSING, None, "", ()):
            return ""
        return str(self.default.value if isinstance(self.default, Enum) else self.default)


def list_options(settings: type[Any]) -> list[DeclaredOption]:
    """List the options of a dataclass, whose ``PREFIX`` begins their environment variables."""
    hints = get_type_hints(settings)
    return [_declare(settings, one, hints[one.name]) for one in fields(settings) if "help" in one.metadata]


def parse_options(settings: type[T], given: Mapping[str, Any], name_of: Callable[[DeclaredOption], str]) -> T:
    """
    Build a dataclass from the values of its options. Blank values count as not given.

    :param name_of: Names an option in an error, by where its value comes from.
    :raises PushMetricsConfigurationError: if a value is of the wrong type or out of bounds.
    """
    from pydantic import Field, ValidationError, create_model

    options = {option.name: option for option in list_options(settings)}
    prepared = {name: options[name].prepare(value) for name, value in given.items() if name in options}
    values = {name: value for name, value in prepared.items() if value}
    wanted: dict[str, Any] = {
        name: (one.kind, Field(... if one.default is MISSING else None, **one.bounds))
        for name, one in options.items()
    }
    try:
        found = create_model(settings.__name__, **wanted)(**values)
        return settings(**{name: getattr(found, name) for name in values})
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
    option = options[str(fault["loc"][0])]
    if option.name not in values:
        other = name_of(options[next(iter(values))])
        raise PushMetricsConfigurationError(
            f"{name_of(option)} is not set, but {other} is: set both or none."
        )
    what = "not valid" if option.is_secret else repr(values[option.name])[:MAX_SHOWN_LENGTH]
    rule = fault["msg"].replace("Input should", "it must", 1)
    default = option.describe_default()
    way_out = f"The default is {default!r}." if default else "It can be left out."
    raise PushMetricsConfigurationError(f"{name_of(option)} is {what}: {rule}. {way_out}")


def parse_environment(settings: type[T], environ: Mapping[str, str]) -> T:
    """
    Build a dataclass whose options only the environment sets.

    :raises PushMetricsConfigurationError: if a value is missing, of the wrong type or out of bounds.
    """
    return parse_options(settings, read_environment(settings, environ), lambda option: option.variable)


def read_environment(settings: type[Any], environ: Mapping[str, str]) -> dict[str, str]:
    """
    Read the options that only the environment sets, also from files that it names.

    :raises PushMetricsConfigurationError: if a file cannot be used.
    """
    options = [option for option in list_options(settings) if not option.flag]
    values = {option.name: environ[option.variable] for option in options if option.variable in environ}
    files = {option.name: read_secret_file(option, environ) for option in options}
    return values | {name: text for name, text in files.items() if text is not None}


def read_secret_file(option: DeclaredOption, environ: Mapping[str, str]) -> str | None:
    """
    Read a secret from the file that its variable ``…_FILE`` names.

    :return: The content without white space around it; None if the variable is not set.
    :raises PushMetricsConfigurationError: if the file cannot be read or is empty, or if the variable of the
        secret itself is set too. The message never contains the secret.
    """
    name = environ.get(option.file_variable, "").strip() if option.is_secret else ""
    if not name:
        return None
    if environ.get(option.variable, "").strip():
        raise PushMetricsConfigurationError(
            f"{option.variable} and {option.file_variable} are both set: set one of them."
        )
    try:
        text = Path(name).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
    else:
        reason = "" if text else "it is empty"
    if reason:
        raise PushMetricsConfigurationError(
            f"{option.file_variable} names the file {name[:MAX_SHOWN_LENGTH]!r}, which cannot be used:"
            f" {reason}. Name a file that holds the value, or set {option.variable}."
        )
    return text


def take_options(
    settings: type[T], *, without: Collection[str] = (), argument: str = ""
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """
    Make a function that takes settings a command that takes their options.

    The command fails with exit code 2 if a value is wrong. As the callback of a group it does nothing when a
    command of the group runs, and refuses options before that command.

    :param without: The options that the command does not have.
    :param argument: The help of an argument, which the function gets second; empty for none.
    """
    import typer

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        def command(context: typer.Context, **values: Any) -> None:
            if context.invoked_subcommand is None:
                others = [values.pop(one.name) for one in arguments]
                function(_parse(settings, context, values), *others)
            else:
                _refuse_misplaced(context, every)

        every = [one for one in list_options(settings) if one.name not in without]
        arguments = (
            [_build_argument(list(inspect.signature(function).parameters)[1], argument)] if argument else []
        )
        parameters = [
            inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
            *arguments,
            *(_build_parameter(one) for one in every if one.flag),
        ]
        hidden = [f"{one.variable}: {one.help}" for one in every if not one.flag]
        if any(one.is_secret for one in every):
            hidden.append(f"A variable with {FILE_SUFFIX} added names a file that holds the secret.")
        command.__name__ = function.__name__
        command.__doc__ = "\n\n".join([inspect.getdoc(function) or "", *hidden])
        command.__annotations__ = {one.name: one.annotation for one in parameters}
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return command

    return decorate


def describe_option(settings: type[Any], name: str) -> Any:
    """Describe one option for a command that has others of its own."""
    return _describe(next(option for option in list_options(settings) if option.name == name))


def _declare(settings: type[Any], one: Field[Any], hint: Any) -> DeclaredOption:
    flag, variable = one.metadata["flag"], one.metadata["variable"]
    flag = one.name.replace("_", "-") if flag is None else flag
    return DeclaredOption(
        name=one.name,
        help=one.metadata["help"],
        kind=get_args(hint)[0] if NoneType in get_args(hint) else hint,
        default=one.default,
        is_secret=not one.repr,
        flag=flag and f"--{flag}",
        variable=settings.PREFIX + (variable or (flag or one.name).replace("-", "_").upper()),
        bounds=one.metadata["bounds"],
    )


def _parse(settings: type[T], context: typer.Context, values: dict[str, Any]) -> T:
    import typer

    sources = {name: context.get_parameter_source(name) for name in values}
    origins = {name: source.name for name, source in sources.items() if source is not None}
    files = {one.name for one in list_options(settings) if os.environ.get(one.file_variable)}
    given = {name: value for name, value in values.items() if origins.get(name) != "DEFAULT" or name in files}

    def name_origin(option: DeclaredOption) -> str:
        return option.flag if origins.get(option.name) == "COMMANDLINE" else option.variable

    try:
        return parse_options(settings, read_environment(settings, os.environ) | given, name_origin)
    except PushMetricsConfigurationError as error:
        raise typer.BadParameter(str(error)) from None


def _refuse_misplaced(context: typer.Context, options: Collection[DeclaredOption]) -> None:
    """Refuse options before the name of a command of a group: the command would not see them."""
    import typer

    for option in options:
        source = context.get_parameter_source(option.name)
        if source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(
                f"{option.flag} must stand after the command {context.invoked_subcommand!r}, which would not"
                " see it here."
            )


def _build_parameter(option: DeclaredOption) -> inspect.Parameter:
    """Build the parameter from which typer makes the option. Numbers stay texts, which pydantic reads."""
    annotation: Any = str | None
    default: Any = option.describe_default() or None
    if option.kind is bool:
        annotation, default = bool, option.default
    elif get_origin(option.kind) is tuple:
        annotation, default = list[get_args(option.kind)[0]] | None, None  # type: ignore[misc]
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[annotation, _describe(option)],
    )


def _build_argument(name: str, help: str) -> inspect.Parameter:
    import typer

    kind = Annotated[str, typer.Argument(help=help)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind)


def _describe(option: DeclaredOption) -> Any:
    import typer

    flags = f"{option.flag}/--no-{option.flag[2:]}" if option.kind is bool else option.flag
    kinds = get_args(option.kind) or (option.kind,)  # of a tuple, or the choices of a Literal
    metavar = METAVARS.get(kinds[0], "|".join(map(str, kinds))) if option.kind is not bool else None
    return typer.Option(
        flags,
        envvar=option.variable,
        help=option.help,
        metavar=metavar,
        callback=_build_file_reader(option) if option.is_secret else None,
    )


def _build_file_reader(option: DeclaredOption) -> Callable[..., Any]:
    import typer

    def read(context: typer.Context, parameter: typer.CallbackParam, value: Any) -> Any:
        source = context.get_parameter_source(parameter.name or "")
        if context.resilient_parsing or (source is not None and source.name == "COMMANDLINE"):
            return value
        try:
            text = read_secret_file(option, os.environ)
        except PushMetricsConfigurationError as error:
            raise typer.BadParameter(str(error)) from None
        if text is None:
            return value
        return [text] if get_origin(option.kind) is tuple else text

    # Resolved here: typing would look for the names in a module that does not import typer.
    read.__annotations__ = {"context": typer.Context, "parameter": typer.CallbackParam, "value": Any}
    return read
