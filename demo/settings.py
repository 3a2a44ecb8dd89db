"""The ports, credentials and environments of a demo."""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import astuple, dataclass, field
from pathlib import Path

from demo.errors import DemoError
from demo.state import DemoFolder

HOST = "127.0.0.1"
AIRFLOW_USER = "admin"
REPORT_ID = "1"
"""The report about the flights."""
SOURCE = "demo"
"""The name under which the receiver knows the service."""
DEFAULT_PORTS = {"PUSHMETRICS_DEMO_SERVICE_PORT": 8090, "PUSHMETRICS_DEMO_AIRFLOW_PORT": 8080}
"""The variables, of the environment or of make, that set the ports of the service and of Airflow."""

_UNWANTED_PREFIXES = ("AIRFLOW_", "PUSHMETRICS_", "PYTHON", "XDG_", "COV_", "COVERAGE_")
_UNWANTED = {"FORCE_COLOR", "MAKEFLAGS", "MFLAGS", "MAKELEVEL"}


@dataclass(frozen=True)
class DemoCredentials:
    """
    The secrets of one demo: made again each time.

    :param api_token: PushMetrics' API token, in the form of a personal access token.
    :param reader_token: The token of readers of the receiver's events.
    :param airflow_password: The password of Airflow's one user.
    :param airflow_jwt_secret: The secret with which Airflow signs its own tokens.
    :param trigger_token: The token in the URL of the report's trigger; the service makes it.
    :param signing_secret: The secret with which the service signs its webhooks; the service makes it.
    """

    api_token: str = field(default_factory=lambda: "pmpat_" + secrets.token_urlsafe(36), repr=False)
    reader_token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    airflow_password: str = field(default_factory=lambda: secrets.token_urlsafe(12), repr=False)
    airflow_jwt_secret: str = field(default_factory=lambda: secrets.token_urlsafe(64), repr=False)
    trigger_token: str = field(default="", repr=False)
    signing_secret: str = field(default="", repr=False)

    def list_secrets(self) -> tuple[str, ...]:
        """List all secrets that no log may contain."""
        return tuple(filter(None, astuple(self)))


def choose_ports(environ: Mapping[str, str]) -> tuple[int, int]:
    """
    Read the ports of the service and of Airflow.

    :raises DemoError: if a port is in use, is invalid, or both are the same.
    """
    service, airflow = (_read_port(environ, variable) for variable in DEFAULT_PORTS)
    if service == airflow:
        raise DemoError(f"{' and '.join(DEFAULT_PORTS)} are both {service}: set different ports.")
    for variable, port in zip(DEFAULT_PORTS, (service, airflow), strict=True):
        if not (_can_bind(HOST, port) and _can_bind("", port)):
            raise DemoError(
                f"port {port} of {HOST} is in use, and the demo needs it. Stop the server there, or choose"
                f" another port: make demo {variable}={find_free_ports(1)[0]}"
            )
    return service, airflow


def _read_port(environ: Mapping[str, str], variable: str) -> int:
    text = environ.get(variable, "").strip() or str(DEFAULT_PORTS[variable])
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 65535):
        raise DemoError(f"{variable}={text!r} is not a port: set a number from 1 to 65535.")
    return int(text)


def find_free_ports(count: int) -> list[int]:
    """Find different free ports."""
    with ExitStack() as held:
        listeners = [held.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("", 0))
        return [listener.getsockname()[1] for listener in listeners]


def _can_bind(host: str, port: int) -> bool:
    with socket.socket() as listener:
        # Servers set this too: a port whose last connections only linger (TIME_WAIT) is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            return False
    return True


def build_base_environment(environ: Mapping[str, str], folder: DemoFolder, programs: Path) -> dict[str, str]:
    """
    Build what every process gets.

    A person's own settings of Airflow, Python and proxies stay out, so that the demo is the same everywhere.

    :param environ: The environment of the demo itself.
    :param folder: Where home and temporary files go.
    :param programs: The folder of ``airflow`` and ``pushmetrics``.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if not name.startswith(_UNWANTED_PREFIXES) and name not in _UNWANTED
    }
    return kept | {
        "PATH": os.pathsep.join(filter(None, (str(programs), environ.get("PATH", "")))),
        "HOME": str(folder.home),
        "TMPDIR": str(folder.temporary),
        "AIRFLOW_HOME": str(folder.airflow_home),
        "NO_COLOR": "1",
        "NO_PROXY": "*",
        "no_proxy": "*",
        "PYTHONUNBUFFERED": "1",
        # The folders of the sources stay as they are.
        "PYTHONDONTWRITEBYTECODE": "1",
        # Airflow renames its processes. This asks to leave their environment, with the marker, as it is:
        # https://github.com/dvarrazzo/py-setproctitle#environment-variables
        "SPT_NOENV": "1",
    }


def build_airflow_environment(
    folder: DemoFolder, service_url: str, airflow_port: int, dags: Path, credentials: DemoCredentials
) -> dict[str, str]:
    """Build what ``airflow standalone`` gets in addition."""
    airflow_url = f"http://{HOST}:{airflow_port}"
    worker_logs, triggerer_logs = map(str, find_free_ports(2))
    connection = {
        "conn_type": "pushmetrics",
        "host": service_url,
        "password": credentials.api_token,
        "extra": {
            "trigger_tokens": {REPORT_ID: credentials.trigger_token},
            "receiver_url": f"{airflow_url}/pushmetrics",
            "receiver_token": credentials.reader_token,
        },
    }
    return {
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(airflow_port),
        "AIRFLOW__API__BASE_URL": airflow_url,
        "AIRFLOW__API_AUTH__JWT_SECRET": credentials.airflow_jwt_secret,
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{airflow_url}/execution/",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(folder.airflow_home / "passwords.json"),
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": triggerer_logs,
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": worker_logs,
        "AIRFLOW__PUSHMETRICS__SOURCE": SOURCE,
        "AIRFLOW__PUSHMETRICS__SIGNING_SECRETS": credentials.signing_secret,
        "AIRFLOW__PUSHMETRICS__READER_TOKEN": credentials.reader_token,
        "AIRFLOW_CONN_PUSHMETRICS_DEFAULT": json.dumps(connection),
        "AIRFLOW_CONN_PUSHMETRICS_API_ONLY": json.dumps(
            {name: value for name, value in connection.items() if name != "extra"}
        ),
        "PUSHMETRICS_EXAMPLE_OUTPUT": str(folder.results),
        # Quick, where the defaults are made for large installations.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        # The machine's own name: looking it up in DNS takes seconds on a machine without a network.
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
    }
