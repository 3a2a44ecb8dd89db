"""A real Airflow of whatever version is installed, as processes, read through its own database."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from tests.fakes.airflow_versions import AIRFLOW_VERSION
from tests.fakes.postgres import write_url
from tests.fakes.service_process import find_free_port

PROGRAMS = Path(sys.executable).parent
PARTS = ("scheduler", "triggerer") + (("dag-processor", "api-server") if AIRFLOW_VERSION >= (3, 0) else ())


class AirflowProcesses:
    """
    Starts the parts of Airflow, each in a process group of its own, and asks what became of Dags.

    :param home: Its folder.
    :param dags: The folder of the Dags.
    :param environment: What tells it of connections and the like.
    :param database_url: The SQLAlchemy URL of an empty PostgreSQL database for Airflow's own tables, such as
        the fixture ``postgres_url`` gives; None for a SQLite file in its home.
    """

    def __init__(
        self, home: Path, dags: Path, environment: Mapping[str, str], *, database_url: str | None = None
    ) -> None:
        self.home = home
        self.port = find_free_port()
        self.database_url = database_url
        database = build_database_options(database_url) if database_url else {}
        self.environment = self._build_environment(dags) | database | dict(environment)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def _build_environment(self, dags: Path) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
        url = f"http://127.0.0.1:{self.port}"
        return kept | {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__API__BASE_URL": url,
            "AIRFLOW__API__PORT": str(self.port),
            # Airflow 3.0 has four, and kills those that take more than five seconds to start.
            "AIRFLOW__API__WORKERS": "1",
            # Airflow 3.0 cannot sign a token without one.
            "AIRFLOW__API_AUTH__JWT_ISSUER": "airflow",
            "AIRFLOW__API_AUTH__JWT_SECRET": "a-secret-of-a-test-that-is-long-enough-for-sha512" * 2,
            # A busy machine may report the end of a task's first part after its second has begun: Airflow
            # then fails the task, and a retry is the way out.
            "AIRFLOW__CORE__DEFAULT_TASK_RETRIES": "2",
            "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "5",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(find_free_port()),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(find_free_port()),
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            # A triggerer that died is noticed soon.
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
            "NO_COLOR": "1",
            "NO_PROXY": "*",
            "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONWARNINGS": "ignore",
            # Airflow renames its processes. This asks to leave their environment as it is.
            "SPT_NOENV": "1",
        }

    def start(self) -> None:
        """Make the database, and start all parts; tasks fail where the API server does not serve yet."""
        self.run("db", "migrate")
        for part in PARTS:
            self.start_part(part)
        self.wait_until(lambda: "api-server" not in PARTS or self._serves(), "the API server to serve")

    @property
    def parts(self) -> Mapping[str, subprocess.Popen[bytes]]:
        """The parts that run, by name; each leads a process group."""
        return self._processes

    def start_part(self, part: str, *arguments: str, **more: str) -> None:
        """Start one part, with more arguments and environment; its output is in the home folder."""
        name = "".join((part, *arguments))
        with open(self.home / f"{name}.log", "ab") as log:
            self._processes[name] = subprocess.Popen(
                [PROGRAMS / "airflow", part, *arguments],
                env=self.environment | more,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _serves(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill_part(self, part: str) -> None:
        """Kill one part with all its processes."""
        process = self._processes.pop(part)
        with suppress(psutil.NoSuchProcess):
            below = psutil.Process(process.pid).children(recursive=True)
            _kill(below)  # some lead process groups of their own
        with suppress(ProcessLookupError):  # it may have ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=120)

    def stop(self) -> None:
        """Kill what runs, also what a part left behind that had died; nobody needs its end to be gentle."""
        for part in list(self._processes):
            self.kill_part(part)
        while left := [process for process in psutil.process_iter() if self._is_ours(process)]:
            _kill(left)
            psutil.wait_procs(left, timeout=1)

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            is_over = process.status() == psutil.STATUS_ZOMBIE
            return not is_over and process.environ().get("AIRFLOW_HOME") == str(self.home)
        except (psutil.Error, OSError):
            return False  # it belongs to another user, or has just ended

    def run(self, *arguments: str) -> str:
        """Run a command of Airflow, and return what it prints."""
        done = subprocess.run(
            [PROGRAMS / "airflow", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, (
            f"airflow {' '.join(arguments)}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
        )
        return done.stdout

    def run_json(self, *arguments: str) -> Any:
        """Run a command that lists something, and read the list; versions print other lines before it."""
        output = self.run(*arguments, "--output", "json")
        return json.loads(output[output.index("[{") :])

    def ask(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Ask the database, whichever it is: the query's placeholders are question marks."""
        with closing(self._connect()) as database:
            if self.database_url is not None:
                query = query.replace("?", "%s")
            found: list[tuple[Any, ...]] = database.cursor().execute(query, parameters).fetchall()
            return found

    def _connect(self) -> Any:
        if self.database_url is None:
            return sqlite3.connect(f"file:{self.home}/airflow.db?mode=ro", uri=True, timeout=120)
        import psycopg  # only where a test asks for a PostgreSQL

        return psycopg.connect(write_url(self.database_url, "postgresql"))

    def is_known(self, dag_id: str) -> bool:
        """Return whether Airflow has read a Dag."""
        return bool(self.ask("SELECT 1 FROM serialized_dag WHERE dag_id = ?", dag_id))

    def count_runs(self, dag_id: str, state: str = "success") -> int:
        """Count the runs of a Dag in a state."""
        return len(self.ask("SELECT 1 FROM dag_run WHERE dag_id = ? AND state = ?", dag_id, state))

    def wait_until(self, is_true: Callable[[], object], what: str, limit_seconds: float = 240.0) -> None:
        """Wait until something is true, unless a part ends or a Dag run fails before."""
        deadline = time.monotonic() + limit_seconds
        while not is_true():
            dead = [part for part, process in self._processes.items() if process.poll() is not None]
            assert not dead, f"{dead} ended: {self._read_log(dead[0])}"
            failed = self.ask("SELECT dag_id, run_id FROM dag_run WHERE state = 'failed'")
            assert not failed, (
                f"while waiting for {what}: {failed} failed: {self._read_task_logs(failed[0][0])}"
            )
            assert time.monotonic() < deadline, f"not in time: {what}; {self._describe()}"
            time.sleep(0.5)

    def has_logged(self, part: str, text: str) -> bool:
        return text in (self.home / f"{part}.log").read_text("utf-8", "replace")

    def _describe(self) -> object:
        runs = self.ask("SELECT dag_id, run_id, state FROM dag_run")
        tasks = self.ask("SELECT dag_id, task_id, state, try_number FROM task_instance")
        return runs, tasks, self._read_log("scheduler")[-3000:]

    def _read_log(self, part: str) -> str:
        return (self.home / f"{part}.log").read_text("utf-8", "replace")[-6000:]

    def _read_task_logs(self, dag_id: str) -> str:
        paths = sorted((self.home / "logs").glob(f"dag_id={dag_id}/**/*.log*"))
        logs = "\n".join(path.read_text("utf-8", "replace")[-4000:] for path in paths)
        return logs or self._read_log("scheduler")


def build_database_options(url: str) -> dict[str, str]:
    """
    Build the options that point Airflow to a PostgreSQL database.

    Airflow before 3.1 has an SQLAlchemy that does not know psycopg 3.
    """
    sync, fast = ("psycopg2", "asyncpg") if find_spec("psycopg2") else ("psycopg", "psycopg")
    return {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": write_url(url, f"postgresql+{sync}"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": write_url(url, f"postgresql+{fast}"),
    }


def _kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
