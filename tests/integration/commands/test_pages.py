"""The commands of the how-to pages, run as a reader of the page alone would run them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.fakes.service_process import API_TOKEN
from tests.integration.commands.conftest import ROOT, Reports, Run

pytestmark = pytest.mark.timeout(900)

BLOCK = re.compile(r"```bash\n(.*?)```", re.DOTALL)


def list_commands(page: str) -> list[str]:
    text = (ROOT / "docs" / "how-to" / page).read_text("utf-8")
    lines = [line for block in BLOCK.findall(text) for line in block.splitlines()]
    return [line for line in lines if line.startswith("pushmetrics ")]


@pytest.mark.slow
@pytest.mark.usefixtures("airflow_home")
@pytest.mark.parametrize(("page", "count"), [("dag-from-report.md", 3), ("doctor.md", 2)])
def test_commands_of_a_page_work(reports: Reports, run: Run, tmp_path: Path, page: str, count: int) -> None:
    (tmp_path / "dags").mkdir()
    reports.tokens["1"] = reports.find_token(1)
    commands = list_commands(page)
    assert len(commands) == count
    for command in commands:
        words = shlex.split(command.replace("https://pushmetrics.io", reports.url))
        ended = run(*words[1:], PUSHMETRICS_API_TOKEN=API_TOKEN)
        assert ended.returncode == 0, command + ended.stdout + ended.stderr
