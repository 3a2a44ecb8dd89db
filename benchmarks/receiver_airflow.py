"""
One Airflow API server with both webhook receivers mounted, in an environment of its own.

Beside them stands a plugin whose app reads the body and stores nothing: what Airflow lets through at most.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.servers import TOKEN
from tests.fakes.service_process import find_free_port

ROOT = Path(__file__).parents[1]
VENV = ROOT / ".venv" / "benchmark"  # not in the repository, and gone with `make clean`
PEER = "airflow-provider-inbound-webhooks==0.2.0"
START_TIMEOUT_SECONDS = 120
READER_TOKEN = TOKEN[::-1]
PEER_CONNECTION = {
    "conn_type": "inbound_webhook",
    "password": TOKEN,
    "extra": {
        "source_type": "token_header",
        "token_header": "authorization",
        "token_prefix": "Bearer ",
        "event_field": "event",
    },
}
BARE_PATH = "/bare"
BARE_PLUGIN = """
from airflow.plugins_manager import AirflowPlugin


async def app(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"9")]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"id": 1}'})


class Bare(AirflowPlugin):
    name = "bare"
    fastapi_apps = [{"app": app, "url_prefix": "%s", "name": "bare"}]
"""


def make_environment() -> Path:
    """Make the environment with both providers, unless it is there; give its folder of programs."""
    programs = VENV / "bin"
    if not (programs / "airflow").exists():
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(VENV)], check=True)
        constraints = str(ROOT / "constraints" / "airflow-3.3.txt")
        packages = ["-e", f"{ROOT}[receiver]", PEER]
        install = [uv, "pip", "install", "-q", "--python", str(programs / "python"), "-c", constraints]
        subprocess.run([*install, *packages], check=True)
    return programs


@contextmanager
def serve_in_airflow(folder: Path) -> Iterator[str]:
    """Run the API server on a database of its own; give its address."""
    programs, port = make_environment(), find_free_port()
    environ = build_environ(folder, port, programs)
    (folder / "plugins").mkdir()
    (folder / "plugins" / "bare.py").write_text(BARE_PLUGIN % BARE_PATH)
    airflow = str(programs / "airflow")
    with (folder / "airflow.log").open("wb") as log:
        subprocess.run(
            [airflow, "db", "migrate"], env=environ, stdout=log, stderr=log, check=True, timeout=300
        )
        command = [airflow, "api-server", "--port", str(port), "--host", "127.0.0.1", "--workers", "1"]
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=log, start_new_session=True)
        try:
            base = f"http://127.0.0.1:{port}"
            _wait_until_live(f"{base}/pushmetrics/health/live", process)
            yield base
        finally:
            process.terminate()
            process.wait(60)


def build_environ(folder: Path, port: int, programs: Path, **settings: str) -> dict[str, str]:
    """Build the environment of an Airflow with both providers; settings are ``SECTION__OPTION``."""
    common = {
        "CORE__LOAD_EXAMPLES": "False",
        "API__BASE_URL": f"http://127.0.0.1:{port}",
        "API_AUTH__JWT_SECRET": secrets.token_urlsafe(32),
        "PUSHMETRICS__SOURCE": "bench",
        "PUSHMETRICS__TOKEN": TOKEN,
        "PUSHMETRICS__READER_TOKEN": READER_TOKEN,
        "INBOUND_WEBHOOKS__WEBHOOK_NAMES": "bench",
    }
    return {
        **os.environ,
        **{f"AIRFLOW__{name}": value for name, value in (common | settings).items()},
        "PATH": f"{programs}:{os.environ['PATH']}",
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW_CONN_WEBHOOK_BENCH": json.dumps(PEER_CONNECTION),
    }


def _wait_until_live(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise RuntimeError(f"Airflow's API server does not answer at {url}")
