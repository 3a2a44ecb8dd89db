"""The page with all options and environment variables, from the classes that declare them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from airflow_provider_pushmetrics.commands.connections import TOKEN_VARIABLE
from airflow_provider_pushmetrics.get_provider_info import CONFIG_OPTIONS
from airflow_provider_pushmetrics.receiver.settings import MountedOptions, StandaloneOptions
from airflow_provider_pushmetrics.service.notifications.settings import SlackSettings, SmtpSettings
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.serving.options import DeclaredOption, list_options
from airflow_provider_pushmetrics.serving.traces import ENDPOINTS
from scripts.docs_site.reference.markdown import build_table, escape_text, write_code

DECLARED = {
    "The receiver, standalone": StandaloneOptions,
    "The reference service and its workers": ServiceSettings,
    "Mail of the service": SmtpSettings,
    "Slack of the service": SlackSettings,
}
"""What declares options of commands and environment variables, with the headings."""

SECTION = "PUSHMETRICS"


def build_options() -> str:
    """Build the page."""
    parts = [
        "# Options and environment variables\n\n"
        "An option on the command line counts before its environment variable. A variable that"
        " ends with `_FILE` names a file with the value instead; setting both is an error.\n\n"
        "The settings of the provider itself are the [connection](../connection.md) and the parameters of"
        " operators, sensors and assets.\n"
    ]
    parts += build_mounted()
    for title, settings in DECLARED.items():
        parts.append(f"\n## {title}\n\n{build_declared(list_options(settings))}")
    parts += build_others()
    return "".join(parts)


def build_mounted() -> Iterator[str]:
    """Build the options of ``airflow.cfg``, each with the variable that Airflow reads."""
    yield "\n## `[pushmetrics]` in `airflow.cfg`\n\n"
    yield (
        "They configure the receiver that the plugin mounts in Airflow's API server:"
        " [The receiver](../receiver.md#start-it). In `airflow.cfg` write `%` as `%%`. A sensitive option may"
        " also come from [a command or a secrets backend](../how-to/secrets.md#the-receiver-in-airflow).\n\n"
    )
    rows = [
        [
            write_names(one.name, f"AIRFLOW__{SECTION}__{one.name.upper()}"),
            describe_type(one),
            describe_default(one),
            escape_text(one.help) + (" *Sensitive.*" if CONFIG_OPTIONS[one.name]["sensitive"] else ""),
        ]
        for one in list_options(MountedOptions)
    ]
    yield build_table(["option, environment variable", "type", "default", "meaning"], rows)


def build_declared(options: Sequence[DeclaredOption]) -> str:
    """Build the table of a class's options."""
    rows = [
        [
            write_names(one.flag, one.variable, one.file_variable),
            describe_type(one),
            describe_default(one),
            escape_text(one.help),
        ]
        for one in options
    ]
    return build_table(["option, environment variable", "type", "default", "meaning"], rows)


def write_names(*names: str) -> str:
    """Write the names of an option below each other."""
    return "<br>".join(write_code(name) for name in names if name)


def build_others() -> Iterator[str]:
    """Build the table of the variables that belong to no class of options."""
    yield "\n## Other environment variables\n\n"
    yield build_table(["environment variable", "read by", "meaning"], OTHERS)


OTHERS = (
    (
        "`AIRFLOW_CONN_PUSHMETRICS_DEFAULT`",
        "Airflow",
        "the connection `pushmetrics_default`, [in any form](../how-to/connections.md)",
    ),
    (
        f"`{TOKEN_VARIABLE}`",
        "`pushmetrics dag new`, `pushmetrics dag check`",
        "the API token, with `--url` in place of a connection",
    ),
    (
        "`REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`, `SSL_CERT_FILE`",
        "worker, triggerer",
        "[trusted CAs](../how-to/tls.md); the first that is set",
    ),
    ("`HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`", "worker, triggerer", "[proxies](../how-to/proxies.md)"),
    (
        ", ".join(map(write_code, ENDPOINTS)),
        "receiver, service",
        "where [spans](../how-to/tracing.md#spans-of-the-service-and-the-receiver) are sent",
    ),
    ("`PUSHMETRICS_DEMO_SERVICE_PORT`", "`make demo`", "the port of the service; 8090 by default"),
    ("`PUSHMETRICS_DEMO_AIRFLOW_PORT`", "`make demo`", "the port of Airflow; 8080 by default"),
)
"""Variables that belong to no class of options; a test finds those of the code that no table has."""


def describe_default(option: DeclaredOption) -> str:
    """Describe a default; empty if there is none."""
    if option.kind is bool:
        return "yes" if option.default else "no"
    return write_code(option.describe_default())


def describe_type(option: DeclaredOption) -> str:
    """Describe the type of a value and its bounds."""
    kind = getattr(option.kind, "__name__", "") if not hasattr(option.kind, "__args__") else ""
    named = {"int": "integer", "float": "number", "bool": "yes or no", "str": "text", "Path": "path"}
    if hasattr(option.kind, "__args__"):
        first = option.kind.__args__[0]
        named[""] = (
            " or ".join(f"`{one}`" for one in option.kind.__args__) if isinstance(first, str) else "list"
        )
    signs = {"gt": ">", "ge": "≥", "le": "≤", "lt": "<"}
    bounds = ", ".join(f"{signs.get(name, name)} {value:,}" for name, value in option.bounds.items())
    return f"{named.get(kind, kind)} {bounds}".strip()
