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
from demo.folder import DemoFolder

HOST = "127.0.0.1"
AIRFLOW_USER = "admin"
REPORT_ID = "1"
"""The report about the flights."""
SOURCE = "demo"
"""The name under which the receiver knows the service."""
DEFAULT_PORTS = {"PUSHMETRICS_DEMO_SERVICE_PORT": 8090, "PUSHMETRICS_DEMO_AIRFLOW_PORT": 8080}
"""The variables, of the environment or of make, that set the ports of the service and of Airflow."""

UNWANTED = (
    "AIRFLOW_",
    "PUSHMETRICS_",
    "PYTHON",
    "XDG_",
    "COV_",
    "COVERAGE_",
    "FORCE_COLOR",
    "MAKE",
    "MFLAGS",
)
"""How the names of variables begin that would change what the processes do."""


@dataclass(frozen=True, repr=False)
class DemoCredentials:
    """The secrets of one demo, made again each time; the service makes the last two."""

    api_token: str = field(default_factory=lambda: f"pmpat_{secrets.token_urlsafe(36)}")
    reader_token: str = field(default_factory=secrets.token_urlsafe)
    airflow_password: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    airflow_jwt_secret: str = field(default_factory=lambda: secrets.token_urlsafe(64))
    trigger_token: str = ""
    signing_secret: str = ""

    def list_secrets(self) -> tuple[str, ...]:
        """List all secrets that no log may contain."""
        return tuple(filter(None, astuple(self)))


def choose_ports(environ: Mapping[str, str]) -> list[int]:
    """Read the ports of the service and of Airflow; an error if one is in use, or is no port."""
    ports: list[int] = []
    for variable, default in DEFAULT_PORTS.items():
        text = environ.get(variable, "").strip() or str(default)
        if not (text.isdecimal() and len(text) < 6 and 0 < int(text) < 65536):
            raise DemoError(f"{variable}={text!r} is not a port: set a number from 1 to 65535.")
        with socket.socket() as probe:
            if int(text) in ports or probe.connect_ex((HOST, int(text))) == 0:
                raise DemoError(
                    f"port {text} of {HOST} is in use, and the demo needs it. Stop the server there, or"
                    f" choose another port: make demo {variable}={find_free_ports(1)[0]}"
                )
        ports.append(int(text))
    return ports


def find_free_ports(count: int) -> list[int]:
    """Find different free ports."""
    with ExitStack() as held:
        listeners = [held.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("", 0))
        return [listener.getsockname()[1] for listener in listeners]


def build_base_environment(environ: Mapping[str, str], folder: DemoFolder, programs: Path) -> dict[str, str]:
    """Build what every process gets: no settings of a person, so that the demo is the same everywhere."""
    return {name: value for name, value in environ.items() if not name.startswith(UNWANTED)} | {
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
    api = {"conn_type": "pushmetrics", "host": service_url, "password": credentials.api_token}
    extra = {
        "trigger_tokens": {REPORT_ID: credentials.trigger_token},
        "receiver_url": f"{airflow_url}/pushmetrics",
        "receiver_token": credentials.reader_token,
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
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": triggerer_logs,
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": worker_logs,
        "AIRFLOW__PUSHMETRICS__SOURCE": SOURCE,
        "AIRFLOW__PUSHMETRICS__SIGNING_SECRETS": credentials.signing_secret,
        "AIRFLOW__PUSHMETRICS__READER_TOKEN": credentials.reader_token,
        "AIRFLOW_CONN_PUSHMETRICS_DEFAULT": json.dumps({**api, "extra": extra}),
        "AIRFLOW_CONN_PUSHMETRICS_API_ONLY": json.dumps(api),
        "PUSHMETRICS_EXAMPLE_OUTPUT": str(folder.results),
        # Quick, where the defaults are made for large installations.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        # The machine's own name: looking it up in DNS takes seconds on a machine without a network.
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
    }
