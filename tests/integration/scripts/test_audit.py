"""``scripts/audit`` looks dependencies up in OSV, and never passes without."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.fakes.loopback import serve_http
from tests.fakes.service_process import find_free_port

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]
SKIPPED = 75
ADVISORY = {
    "id": "PYSEC-2026-1",
    "summary": "Names are not checked",
    "published": "2026-01-01T00:00:00Z",
    "affected": [
        {
            "package": {"name": "vulnerable-package", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.2.4"}]}],
        }
    ],
}


def audit(folder: Path, osv_url: str) -> tuple[int, str]:
    constraints = folder / "constraints.txt"
    constraints.write_text("sound-package==2.0\nvulnerable-package==1.2.3\n", "utf-8")
    done = subprocess.run(
        [ROOT / "scripts" / "audit", constraints],
        env={**os.environ, "PUSHMETRICS_OSV_URL": osv_url},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


def serve_advisories(answers: dict[str, Any], asked: list[str], status: int = 200) -> Starlette:
    async def answer(request: Request) -> JSONResponse:
        query = json.loads(await request.body())
        asked.append(f"{query['package']['name']}=={query['version']}")
        return JSONResponse(answers.get(query["package"]["name"], {}), status)

    return Starlette(routes=[Route("/v1/query", answer, methods=["POST"])])


def test_a_vulnerable_dependency_fails_the_check(tmp_path: Path) -> None:
    with serve_http() as server:
        server.app = serve_advisories({"vulnerable-package": {"vulns": [ADVISORY]}}, [])
        code, output = audit(tmp_path, f"{server.url}/v1/query")
    assert code == 1, output
    assert "vulnerable-package 1.2.3   PYSEC-2026-1 1.2.4" in output


def test_every_dependency_is_looked_up_before_none_is_called_vulnerable(tmp_path: Path) -> None:
    asked: list[str] = []
    with serve_http() as server:
        server.app = serve_advisories({}, asked)
        code, output = audit(tmp_path, f"{server.url}/v1/query")
    assert code == 0, output
    assert {"sound-package==2.0", "vulnerable-package==1.2.3"} <= set(asked)


def test_without_the_service_it_says_that_nothing_was_looked_up(tmp_path: Path) -> None:
    code, output = audit(tmp_path, f"http://127.0.0.1:{find_free_port()}/v1/query")
    assert code == SKIPPED
    assert output.startswith("Skipped: no advisory data can be reached at http://127.0.0.1:")


def test_an_answer_that_is_an_error_fails_the_check(tmp_path: Path) -> None:
    with serve_http() as server:
        server.app = serve_advisories({}, [], status=503)
        code, output = audit(tmp_path, f"{server.url}/v1/query")
    assert code not in (0, SKIPPED), output
