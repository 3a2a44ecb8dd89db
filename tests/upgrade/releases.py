"""The versions whose data is kept here: what each one left behind when it was replaced by the next."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).parent / "versions"
KINDS = ("sqlite", "postgresql")
"""The databases of the service and of the receiver."""


@dataclass(frozen=True)
class Release:
    """
    What a version left behind on one kind of database.

    :param version: The version.
    :param kind: The kind.
    :param base: The folder of all versions.
    """

    version: str
    kind: str
    base: Path = FOLDER

    @property
    def folder(self) -> Path:
        """The folder of its files."""
        return self.base / self.version / self.kind

    @property
    def service_dump(self) -> Path:
        """The database of the service, as SQL."""
        return self.folder / "service.sql"

    @property
    def inbox_dump(self) -> Path:
        """The inbox of the receiver, as SQL."""
        return self.folder / "inbox.sql"

    @property
    def results(self) -> Path:
        """The results of the service."""
        return self.folder / "results"

    @property
    def dag_file(self) -> Path:
        """The Dag of a user, which stays as it is when the provider is upgraded."""
        return self.base / self.version / "user_dag.py"

    def read(self, name: str) -> Any:
        """Read what is kept as JSON."""
        return json.loads((self.folder / f"{name}.json").read_text("utf-8"))

    def write(self, name: str, content: Any) -> None:
        """Keep something as JSON."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{name}.json").write_text(
            json.dumps(content, indent=1, sort_keys=True) + "\n", "utf-8"
        )


def list_releases() -> list[Release]:
    """List what is kept, the oldest version first."""
    versions = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
    return [Release(version, kind) for version in versions for kind in KINDS]


def is_released(version: str, changelog: str) -> bool:
    """Return whether a version was released: its heading in the changelog then has a date."""
    heading = re.search(rf"^## {re.escape(version)} \((.+)\)$", changelog, re.M)
    return heading is not None and heading[1] != "unreleased"
