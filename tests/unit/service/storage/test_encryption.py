"""Stored secrets."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.storage.encryption import Cipher, load_secret_keys

KEY, NEW_KEY = "k" * 32, "n" * 32


def test_secret_comes_back_and_is_not_in_what_is_stored() -> None:
    cipher = Cipher(KEY)
    stored = cipher.encrypt("trigger-token")
    assert "trigger-token" not in stored
    assert Cipher(KEY).decrypt(stored) == "trigger-token"


def test_another_key_is_told_from_a_fault() -> None:
    with pytest.raises(
        PushMetricsConfigurationError,
        match="secret key that encrypted it is not in PUSHMETRICS_SERVICE_SECRET_KEYS",
    ):
        Cipher("x" * 32).decrypt(Cipher(KEY).encrypt("a"))


def test_short_key_is_refused() -> None:
    with pytest.raises(PushMetricsConfigurationError, match="at least 32"):
        Cipher("short")
    with pytest.raises(PushMetricsConfigurationError, match="at least 32"):
        Cipher(KEY, "short")
    with pytest.raises(PushMetricsConfigurationError, match="missing"):
        Cipher()


def test_newest_key_encrypts_and_every_key_decrypts() -> None:
    new, old = Cipher(NEW_KEY, KEY), Cipher(KEY)
    stored, stored_anew = old.encrypt("a"), new.encrypt("b")
    assert (new.decrypt(stored), new.is_newest(stored)) == ("a", False)
    assert (Cipher(NEW_KEY).decrypt(stored_anew), new.is_newest(stored_anew)) == ("b", True)
    assert not old.can_decrypt(stored_anew)
    again = new.encrypt_again(stored)
    assert Cipher(NEW_KEY).decrypt(again) == "a"


def test_what_was_never_encrypted_is_told_from_a_secret() -> None:
    for text in ("", "plain", "gAAAAA", "ä"):
        assert not Cipher(KEY).can_decrypt(text)
        with pytest.raises(PushMetricsConfigurationError):
            Cipher(KEY).decrypt(text)


def test_key_file_has_a_key_in_each_line(tmp_path: Path) -> None:
    (tmp_path / "secret-key").write_text(f"{NEW_KEY}\n{KEY}\n")
    assert load_secret_keys(tmp_path) == (NEW_KEY, KEY)


def test_jwt_key_is_not_the_key_of_stored_secrets_and_depends_on_the_secret() -> None:
    assert Cipher(KEY).jwt_keys == Cipher(KEY).jwt_keys != Cipher("x" * 32).jwt_keys


def test_key_file_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    keys = load_secret_keys(tmp_path)
    assert len(keys) == 1
    assert load_secret_keys(tmp_path) == keys
    assert stat.S_IMODE((tmp_path / "secret-key").stat().st_mode) == 0o600
