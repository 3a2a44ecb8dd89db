"""The service as a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import httpx

from tests.fakes.interpreter import SERVER_PYTHON
from tests.fakes.waiting import LIMIT_SECONDS

API_TOKEN = "pmpat_" + "T" * 43

UNFIT = "an answer does not fit its schema"
"""What the service logs of an answer that its OpenAPI document does not describe."""


def find_free_port() -> int:
    """Find a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


COMMAND = "from airflow_provider_pushmetrics.cli import main; main()"


class ServiceProcess:
    """
    Runs ``pushmetrics service``.

    :param data_dir: Its data folder.
    :param log: Where its output goes.
    :param arguments: More arguments of the command.
    :param environment: More variables of its environment.
    """

    def __init__(
        self,
        data_dir: Path,
        log: IO[bytes],
        *arguments: str,
        token: str | None = API_TOKEN,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.port = find_free_port()
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", **(environment or {})}
        if token is not None:
            environment["PUSHMETRICS_SERVICE_BOOTSTRAP_TOKEN"] = token
        command = [SERVER_PYTHON, "-m", "airflow_provider_pushmetrics.service"]
        self.process = subprocess.Popen(
            [*command, "--data", str(data_dir), "--port", str(self.port), *arguments],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,  # so that all of its processes can be found, and killed together
        )
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=LIMIT_SECONDS,
            # Less than the server's 5 s: it would close a connection just when it is used again.
            limits=httpx.Limits(keepalive_expiry=2),
            trust_env=False,
        )

    def wait_until_ready(self, timeout_seconds: float = 120.0) -> None:
        """Wait until it serves."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "the service ended"
            try:
                if self.client.get("/health/ready").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("the service is not ready in time")

    def subscribe(self, url: str, *events: str) -> dict[str, Any]:
        """Subscribe a URL to events, all runs of reports unless others are named; give the subscription."""
        body = {"name": "s", "url": url, "events": list(events or ("report.run",)), "active": True}
        answer = self.client.post("/api/v1/webhook_subscription/", json=body).raise_for_status()
        created: dict[str, Any] = answer.json()
        return created

    def find_trigger_token(self) -> str:
        """Find the token of its only trigger."""
        (row,) = self.client.get("/api/v1/webhook/").json()["result"]
        token: str = self.client.get(f"/api/v1/webhook/{row['id']}").json()["result"]["token"]
        return token

    def list_pids(self) -> list[int]:
        """List its processes, and those that it left behind; the worker is the second."""
        return sorted(pid for pid in list_pids() if _find_session(pid) == self.process.pid)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal and give its exit code; SIGKILL ends its worker too."""
        if number == signal.SIGKILL:
            for pid in self.list_pids():
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
        elif self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=LIMIT_SECONDS)


def list_pids() -> list[int]:
    """List all processes of this machine."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _find_session(pid: int) -> int | None:
    """Find the session of a process; None if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[3])


@contextmanager
def run_service(data_dir: Path, *arguments: str, token: str | None = API_TOKEN) -> Iterator[ServiceProcess]:
    """Run the service until the end of the block; its output is in ``service.log`` beside its data."""
    with open(data_dir.with_suffix(".log"), "ab") as log:
        service = ServiceProcess(data_dir, log, *arguments, token=token)
        try:
            yield service
        finally:
            service.stop(signal.SIGKILL)
            service.client.close()
    assert UNFIT not in data_dir.with_suffix(".log").read_text("utf-8", "replace")


@contextmanager
def run_ready_service(data_dir: Path, *arguments: str) -> Iterator[ServiceProcess]:
    """Run the service until the end of the block, which begins when it serves."""
    with run_service(data_dir, *arguments) as service:
        service.wait_until_ready()
        yield service


@contextmanager
def run_worker(data_dir: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``pushmetrics worker`` until the end of the block; its output is beside that of the service."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
    with open(data_dir.with_suffix(".log"), "ab") as log:
        process = subprocess.Popen(
            [SERVER_PYTHON, "-c", COMMAND, "worker", "--data", str(data_dir), *arguments],
            env=environment,
            stdout=log,
            stderr=log,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait(timeout=LIMIT_SECONDS)
