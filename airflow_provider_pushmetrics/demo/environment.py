"""The environments that the processes of the demo get. Nothing here has effects."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from airflow_provider_pushmetrics.demo.credentials import DemoCredentials, ReportAccess
from airflow_provider_pushmetrics.demo.folder import DemoFolder
from airflow_provider_pushmetrics.demo.processes.ports import HOST, DemoPorts

SOURCE = "demo"
"""The name under which the receiver knows the service."""

_UNWANTED_PREFIXES = ("AIRFLOW_", "PUSHMETRICS_", "PYTHON", "XDG_", "COV_", "COVERAGE_")
_UNWANTED = {"FORCE_COLOR", "MAKEFLAGS", "MFLAGS", "MAKELEVEL"}


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
        # Airflow renames its processes. Without this, the name is written over the environment that marks
        # them: https://github.com/dvarrazzo/py-setproctitle#environment-variables
        "SPT_NOENV": "1",
    }


def build_service_environment(base: Mapping[str, str], credentials: DemoCredentials) -> dict[str, str]:
    """Build the environment of ``pushmetrics service``."""
    return {**base, "PUSHMETRICS_SERVICE_BOOTSTRAP_TOKEN": credentials.api_token}


def build_airflow_environment(
    base: Mapping[str, str],
    *,
    folder: DemoFolder,
    ports: DemoPorts,
    dags: Path,
    credentials: DemoCredentials,
    access: ReportAccess,
) -> dict[str, str]:
    """Build the environment of ``airflow standalone``."""
    return {
        **base,
        **_build_airflow_options(folder, ports, dags),
        "AIRFLOW__API_AUTH__JWT_SECRET": credentials.airflow_jwt_secret,
        "AIRFLOW__PUSHMETRICS__SOURCE": SOURCE,
        "AIRFLOW__PUSHMETRICS__SIGNING_SECRETS": access.signing_secret,
        "AIRFLOW__PUSHMETRICS__READER_TOKEN": credentials.reader_token,
        "AIRFLOW_CONN_PUSHMETRICS_DEFAULT": build_connection(ports, credentials, access),
        "PUSHMETRICS_EXAMPLE_OUTPUT": str(folder.results),
    }


def build_connection(ports: DemoPorts, credentials: DemoCredentials, access: ReportAccess) -> str:
    """Build the connection ``pushmetrics_default``, as Airflow reads it from the environment."""
    return json.dumps(
        {
            "conn_type": "pushmetrics",
            "host": ports.service_url,
            "password": credentials.api_token,
            "extra": {
                "trigger_tokens": {access.report_id: access.trigger_token},
                "receiver_url": f"{ports.airflow_url}/pushmetrics",
                "receiver_token": credentials.reader_token,
            },
        }
    )


def _build_airflow_options(folder: DemoFolder, ports: DemoPorts, dags: Path) -> dict[str, str]:
    return {
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(ports.airflow),
        "AIRFLOW__API__BASE_URL": ports.airflow_url,
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{ports.airflow_url}/execution/",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(folder.passwords_file),
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(ports.triggerer_logs),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(ports.worker_logs),
        # Quick, where the defaults are made for large installations.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        # The machine's own name: looking it up in DNS takes seconds on a machine without a network.
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
    }
