"""What is kept of released versions stays as it is, and what is kept of this one is what it writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from airflow_provider_pushmetrics import __version__
from airflow_provider_pushmetrics.receiver import migrations as receiver_migrations
from airflow_provider_pushmetrics.service.storage.database import MIGRATIONS
from tests.upgrade.__main__ import DAG, main
from tests.upgrade.releases import KINDS, Release, is_released


@pytest.mark.parametrize(
    ("changelog", "expected"),
    [
        ("# Changelog\n\n## 9.1.0 (unreleased)\n\n## 9.0.0 (2026-12-01)\n", True),
        ("# Changelog\n\n## 9.0.0 (unreleased)\n", False),
        ("# Changelog\n\n## 9.0.01 (2026-12-01)\n", False),
    ],
)
def test_a_version_is_released_when_its_heading_has_a_date(changelog: str, expected: bool) -> None:
    assert is_released("9.0.0", changelog) is expected


def test_the_data_of_a_released_version_is_not_written_again(tmp_path: Path) -> None:
    changelog = tmp_path / "CHANGELOG.md"
    changelog.write_text(f"## {__version__} (2026-12-01)\n", "utf-8")
    kept = tmp_path / __version__ / "sqlite" / "service.sql"
    kept.parent.mkdir(parents=True)
    kept.touch()
    with pytest.raises(SystemExit, match="was released"):
        main(tmp_path, changelog)
    assert kept.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_this_version_has_data_of_its_newest_schema(kind: str) -> None:
    """If this fails, scripts/write_upgrade_data writes it anew."""
    release = Release(__version__, kind)
    folder = Path(receiver_migrations.__file__).parent
    for dump, migrations in ((release.service_dump, MIGRATIONS), (release.inbox_dump, folder)):
        newest = ScriptDirectory(str(migrations)).get_current_head()
        assert f"VALUES('{newest}')" in dump.read_text("utf-8").replace("VALUES (", "VALUES(")


def test_this_version_has_the_newest_dag() -> None:
    assert Release(__version__, "sqlite").dag_file.read_bytes() == DAG.read_bytes()
