"""Airflow reads the receiver's sensitive options as docs/how-to/secrets.md says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from airflow_provider_pushmetrics.get_provider_info import CONFIG_OPTIONS
from tests.fakes.airflow_versions import needs_airflow

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "how-to" / "secrets.md"

BACKEND = """
from airflow.secrets import BaseSecretsBackend

class Backend(BaseSecretsBackend):
    def get_config(self, key):
        return {"a-key": "from-backend"}.get(key)
"""
READ = """
from airflow.providers_manager import ProvidersManager
ProvidersManager().initialize_providers_configuration()  # as the API server does when it starts
from airflow_provider_pushmetrics.plugins.configuration import ReceiverConfiguration, read_options
options = read_options()
settings = ReceiverConfiguration(options).build_settings()
print("|", settings.sources[0].token, settings.reader_token, settings.inbox, "|")
"""


@needs_airflow("3.1")
def test_a_command_and_the_backend_give_sensitive_options_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "a_backend.py").write_text(BACKEND)
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__SECRETS__BACKEND": "a_backend.Backend",
        "AIRFLOW__PUSHMETRICS__TOKEN_CMD": "echo from-command-0123456789",
        "AIRFLOW__PUSHMETRICS__READER_TOKEN_SECRET": "a-key",
        "AIRFLOW__PUSHMETRICS__INBOX_CMD": "echo sqlite:///elsewhere.db",
    }
    done = subprocess.run(
        [sys.executable, "-c", READ], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    inbox = f"sqlite:///{tmp_path}/pushmetrics-inbox.db"
    assert done.stdout.partition("|")[2].partition("|")[0].split() == [
        "from-command-0123456789",
        "from-backend",
        inbox,
    ]


def test_the_page_names_every_sensitive_option() -> None:
    (line,) = [line for line in PAGE.read_text("utf-8").splitlines() if " are sensitive." in line]
    assert {name for name, option in CONFIG_OPTIONS.items() if option["sensitive"]} == {
        name for name in CONFIG_OPTIONS if f"`{name}`" in line
    }
