"""The environment of all processes: that of ``docker-compose.yaml``, with short leases."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

from demo.settings import AIRFLOW_USER, HOST, REPORT_ID
from demo.system import DAGS

if TYPE_CHECKING:
    from tests.chaos.system import System

LEASE_SECONDS = 15
"""After how long a process that gives no sign of life is taken for dead, whatever it is."""


def build_environment(system: System) -> dict[str, str]:
    """Build what each process gets; the parts do not look at each other's."""
    return {
        **_build_service_environment(system),
        **_build_receiver_environment(system),
        **_build_airflow_environment(system),
        **_build_connections(system),
        "PUSHMETRICS_EXAMPLE_OUTPUT": str(system.folder.results),
    }


def _build_service_environment(system: System) -> dict[str, str]:
    return {
        "PUSHMETRICS_SERVICE_ALLOW_PRIVATE_ENDPOINTS": "true",
        "PUSHMETRICS_SERVICE_BOOTSTRAP_TOKEN": system.credentials.api_token,
        "PUSHMETRICS_SERVICE_CONNECTIONS_PER_ADDRESS": "0",
        "PUSHMETRICS_SERVICE_DATABASE_URL": system.get_database_url("service", pooled=True),
        "PUSHMETRICS_SERVICE_LISTEN_DATABASE_URL": system.get_database_url("service"),
        "PUSHMETRICS_SERVICE_PUBLIC_URL": system.get_url("web"),
        "PUSHMETRICS_SERVICE_RUN_CONCURRENCY": "2",
        "PUSHMETRICS_SERVICE_SECRET_KEYS": secrets.token_urlsafe(48),
        "PUSHMETRICS_SERVICE_WORKER_LEASE_SECONDS": str(LEASE_SECONDS),
    }


def _build_receiver_environment(system: System) -> dict[str, str]:
    token = secrets.token_urlsafe(32)
    return {
        "PUSHMETRICS_RECEIVER_CONNECTIONS_PER_ADDRESS": "0",
        "PUSHMETRICS_RECEIVER_INBOX": system.get_database_url("inbox", pooled=True),
        "PUSHMETRICS_RECEIVER_LISTEN_DATABASE_URL": system.get_database_url("inbox"),
        "PUSHMETRICS_RECEIVER_READER_TOKEN": system.credentials.reader_token,
        "PUSHMETRICS_RECEIVER_TOKEN": token,
        # Of docker/set_up.py.
        "PUSHMETRICS_API_TOKEN": system.credentials.api_token,
        "PUSHMETRICS_TRIGGER_TOKEN": system.credentials.trigger_token,
        "PUSHMETRICS_WEBHOOK_TOKEN": token,
        "RECEIVER_URL": system.get_url("receiver"),
        "SERVICE_URL": system.get_url("web"),
    }


def _build_connections(system: System) -> dict[str, str]:
    api = {
        "conn_type": "pushmetrics",
        "host": system.get_url("web"),
        "password": system.credentials.api_token,
    }
    receiver = {
        "receiver_url": system.get_url("receiver"),
        "receiver_token": system.credentials.reader_token,
        "trigger_tokens": {REPORT_ID: system.credentials.trigger_token},
    }
    return {
        "AIRFLOW_CONN_PUSHMETRICS_DEFAULT": json.dumps({**api, "extra": receiver}),
        "AIRFLOW_CONN_PUSHMETRICS_API_ONLY": json.dumps(api),
    }


def _build_airflow_environment(system: System) -> dict[str, str]:
    url = system.get_url("api-server")
    database = system.get_database_url("airflow")
    return {
        **{f"AIRFLOW__{name}": value for name, value in AIRFLOW.items()},
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(48),
        "AIRFLOW__API_AUTH__JWT_SECRET": system.credentials.airflow_jwt_secret,
        "AIRFLOW__CELERY__BROKER_URL": system.broker_url,
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database}",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": database,
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(
            system.folder.airflow_home / "passwords.json"
        ),
    }


AIRFLOW = {
    "API__HOST": HOST,
    "CELERY__WORKER_CONCURRENCY": "2",
    "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    # What a user does whose workers may die.
    "CORE__DEFAULT_TASK_RETRIES": "3",
    "CORE__DEFAULT_TASK_RETRY_DELAY": "5",
    "CORE__EXECUTOR": "CeleryExecutor",
    "CORE__HOSTNAME_CALLABLE": "socket.gethostname",
    "CORE__LOAD_EXAMPLES": "False",
    "CORE__PARALLELISM": "4",
    "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{AIRFLOW_USER}:admin",
    # The example Dags do not change.
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
    "DAG_PROCESSOR__PARSING_PROCESSES": "1",
    # The leases, and how often they are looked at.
    "SCHEDULER__JOB_HEARTBEAT_SEC": "2",
    "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "2",
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": str(LEASE_SECONDS),
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "SCHEDULER__TASK_QUEUED_TIMEOUT": "45",
    "SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
    "TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": str(LEASE_SECONDS),
}
