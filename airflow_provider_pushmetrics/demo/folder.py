"""Where the demo keeps things: everything that it writes is in one folder."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_pushmetrics.exceptions import DemoError

REPOSITORY = Path(__file__).resolve().parents[2]
LEAD_FILE = "pushmetrics-demo"
"""Lies in every folder that the demo made, so that it never clears a folder that holds something else."""


@dataclass(frozen=True)
class DemoFolder:
    """
    One demo's folder.

    :param root: The folder itself.
    """

    root: Path

    @property
    def service_data(self) -> Path:
        """What the reference service stores."""
        return self.root / "service"

    @property
    def airflow_home(self) -> Path:
        """Airflow's home, with its database and its task logs."""
        return self.root / "airflow"

    @property
    def passwords_file(self) -> Path:
        """The users of Airflow's simple auth manager, with their passwords."""
        return self.airflow_home / "passwords.json"

    @property
    def results(self) -> Path:
        """What the Dags save."""
        return self.root / "results"

    @property
    def home(self) -> Path:
        """The home folder of the processes, so that none writes into the user's."""
        return self.root / "home"

    @property
    def temporary(self) -> Path:
        """Where the processes put temporary files."""
        return self.root / "tmp"

    @property
    def logs(self) -> Path:
        """What the processes print."""
        return self.root / "logs"

    @property
    def service_log(self) -> Path:
        """What the reference service prints."""
        return self.logs / "service.log"

    @property
    def airflow_log(self) -> Path:
        """What Airflow's components print."""
        return self.logs / "airflow.log"

    @property
    def state_file(self) -> Path:
        """What is running, and with which credentials: readable by its owner only."""
        return self.root / "state.json"

    @property
    def lock_file(self) -> Path:
        """Held by the demo that uses the folder now."""
        return self.root / "lock"

    def claim(self) -> None:
        """
        Make the folder, or check that it is one of the demo's.

        :raises DemoError: if it holds something else.
        """
        lead = self.root / LEAD_FILE
        if self.root.exists() and not lead.exists() and (not self.root.is_dir() or any(self.root.iterdir())):
            raise DemoError(
                f"{str(self.root)!r} is not a folder of the demo, and the demo clears its folder when it"
                " starts. Move it away."
            )
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        lead.touch()

    def clear(self) -> None:
        """Remove what an earlier demo left, and make the folders that the processes expect."""
        for folder in (
            self.service_data,
            self.airflow_home,
            self.results,
            self.home,
            self.temporary,
            self.logs,
        ):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)


def find_dags_folder() -> Path:
    """
    Find the example Dags, which lie beside the package in a checkout.

    :raises DemoError: if this is not a checkout.
    """
    dags = REPOSITORY / "dags"
    if not dags.is_dir():
        raise DemoError(
            f"there is no {str(dags)!r}: the demo runs from a checkout of the repository, by `make demo`."
        )
    return dags
