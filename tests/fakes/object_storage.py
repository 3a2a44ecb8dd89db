"""A server of S3 as a process: moto, which can be stopped, frozen and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from tests.fakes.service_process import find_free_port
from tests.fakes.waiting import wait_until

BUCKET = "results-of-tests"
ACCESS_KEY = "access-key-of-tests"
SECRET_KEY = "secret-key-of-tests"


@dataclass
class S3Server:
    """
    A server of S3, which forgets its objects when it is stopped.

    :param checks_keys: Whether it refuses keys that it does not know, which are all of them.
    """

    port: int
    checks_keys: bool = False
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables by which clients find it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def start(self) -> None:
        """Start it with an empty bucket."""
        keys = {"INITIAL_NO_AUTH_ACTION_COUNT": "1"} if self.checks_keys else {}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            env={**os.environ, **keys},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._make_bucket)

    def _make_bucket(self) -> bool:
        try:
            return httpx.put(f"{self.url}/{BUCKET}", trust_env=False).is_success
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @contextmanager
    def be_frozen(self) -> Iterator[None]:
        """Let it take connections and answer nothing, while the block lasts."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)


@contextmanager
def run_s3(*, checks_keys: bool = False, starts: bool = True) -> Iterator[S3Server]:
    """Run a server of S3 until the end of the block."""
    server = S3Server(find_free_port(), checks_keys)
    try:
        if starts:
            server.start()
        yield server
    finally:
        server.stop()
