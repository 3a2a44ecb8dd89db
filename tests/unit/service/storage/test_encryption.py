"""Stored secrets."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.storage.encryption import (
    Cipher,
    load_secret_key,
    write_private_file,
)

KEY = "k" * 32


def test_secret_comes_back_and_is_not_in_what_is_stored() -> None:
    cipher = Cipher(KEY)
    stored = cipher.encrypt("trigger-token")
    assert "trigger-token" not in stored
    assert Cipher(KEY).decrypt(stored) == "trigger-token"


def test_another_key_is_told_from_a_fault() -> None:
    with pytest.raises(PushMetricsConfigurationError, match="secret key is not the one"):
        Cipher("x" * 32).decrypt(Cipher(KEY).encrypt("a"))


def test_short_key_is_refused() -> None:
    with pytest.raises(PushMetricsConfigurationError, match="at least 32"):
        Cipher("short")


def test_jwt_key_is_not_the_key_of_stored_secrets_and_depends_on_the_secret() -> None:
    assert Cipher(KEY).jwt_key == Cipher(KEY).jwt_key != Cipher("x" * 32).jwt_key


def test_key_file_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    key = load_secret_key(tmp_path)
    assert load_secret_key(tmp_path) == key
    assert stat.S_IMODE((tmp_path / "secret-key").stat().st_mode) == 0o600


def test_private_file_replaces_what_a_crash_left(tmp_path: Path) -> None:
    (tmp_path / "f.partial").write_text("half")
    write_private_file(tmp_path / "f", "whole")
    assert (tmp_path / "f").read_text() == "whole\n"
    assert list(tmp_path.iterdir()) == [tmp_path / "f"]
