"""What messages of databases show."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.service.datasources.base import SourceError
from airflow_provider_pushmetrics.service.datasources.error_messages import hide_paths


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            'IO Error: The file "/srv/push data/sources/a b.duckdb" exists, but it is not a valid database',
            'IO Error: The file "a b.duckdb" exists, but it is not a valid database',
        ),
        (
            "Could not lock file '/srv/data/x.duckdb': a lock is held in /usr/bin/python3.11 (PID 7)",
            "Could not lock file 'x.duckdb': a lock is held in python3.11 (PID 7)",
        ),
        (
            'connection to server on socket "/tmp/.s.PGSQL.5432" failed',
            'connection to server on socket ".s.PGSQL.5432" failed',
        ),
        (
            "unable to open database file: file:///srv/data/x.db?mode=ro",
            "unable to open database file: x.db?mode=ro",
        ),
        ("Permission error: /srv/data/sources/", "Permission error: "),
        ("in /srv/data/a.csv, /srv/data/b.csv", "in a.csv, b.csv"),
        (
            "[Errno 2] No such file or directory: '/srv/secret-key'",
            "[Errno 2] No such file or directory: 'secret-key'",
        ),
    ],
)
def test_paths_are_shortened_to_their_names(said: str, shown: str) -> None:
    assert hide_paths(said) == shown
    assert str(SourceError(said)) == shown


@pytest.mark.parametrize(
    "said",
    [
        'syntax error at or near "/"',
        "LINE 1: select a/b/c from t",
        "LINE 1: select (a)/b/c, total /2 from t",
        "see https://duckdb.org/docs/stable/sql and http://x/y/z",
        "could not read 'sub/folder.csv'",
        "1/2/2026 is no date",
        "/* a comment */ select 1",
        "block 'x' / 'y'",
    ],
)
def test_other_slashes_stay(said: str) -> None:
    assert hide_paths(said) == said


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\"'`\n:;,()[]<>| \t\r", exclude_categories=("Z", "C")),
    min_size=2,
)


@given(st.lists(NAMES, min_size=1, max_size=5), NAMES)
def test_no_folder_of_a_quoted_path_is_ever_shown(folders: list[str], name: str) -> None:
    path = "/" + "/".join([*folders, name])
    assert hide_paths(f"cannot open '{path}' now") == f"cannot open '{name}' now"
