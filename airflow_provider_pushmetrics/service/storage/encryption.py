"""Encryption of secrets that are shown or used again: trigger tokens, signing secrets, database URLs."""

from __future__ import annotations

import base64
import secrets
from functools import lru_cache
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.serving.private_files import write_private_file_once

KEY_FILE = "secret-key"
MIN_KEY_LENGTH = 32
MAX_KNOWN_SECRETS = 256
"""Decrypted secrets that stay in memory: each run and each delivery needs one."""

WHERE_KEYS_ARE = f"PUSHMETRICS_SERVICE_SECRET_KEYS, or the file {KEY_FILE!r} of the data folder"


class Cipher:
    """
    Encrypts and decrypts, and signs JWTs, with keys made from the secret keys.

    The first key encrypts and signs. All of them decrypt and verify: a session outlasts a new key, and ends
    when its own key is removed.

    :param secret_keys: The secret keys, the newest first; each has at least 32 characters.
    :raises PushMetricsConfigurationError: if there is none, or one is too short.
    """

    def __init__(self, *secret_keys: str) -> None:
        if not secret_keys or min(map(len, secret_keys)) < MIN_KEY_LENGTH:
            raise PushMetricsConfigurationError(
                f"a secret key of the service is too short or missing ({WHERE_KEYS_ARE}): each must have at"
                f" least {MIN_KEY_LENGTH} characters. Generate one with:"
                " python -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )
        ciphers = [Fernet(base64.urlsafe_b64encode(_derive(key, b"stored secrets"))) for key in secret_keys]
        self._newest = ciphers[0]
        self._all = MultiFernet(ciphers)
        self.jwt_keys = tuple(_derive(key, b"jwt") for key in secret_keys)
        self._decrypt = lru_cache(MAX_KNOWN_SECRETS)(self._all.decrypt)

    def encrypt(self, text: str) -> str:
        """Encrypt a secret for the database."""
        return self._all.encrypt(text.encode()).decode("ascii")

    def decrypt(self, encrypted: str) -> str:
        """
        Decrypt a secret from the database.

        :raises PushMetricsConfigurationError: if none of the keys encrypted it.
        """
        try:
            return self._decrypt(encrypted.encode()).decode()
        except InvalidToken:
            raise PushMetricsConfigurationError(
                "a stored secret cannot be decrypted: the secret key that encrypted it is not in"
                f" {WHERE_KEYS_ARE}. Add that key after the newest."
            ) from None

    def can_decrypt(self, encrypted: str) -> bool:
        """Return whether one of the keys encrypted a secret."""
        return _can_decrypt(self._all, encrypted)

    def is_newest(self, encrypted: str) -> bool:
        """Return whether the newest key encrypted a secret."""
        return _can_decrypt(self._newest, encrypted)

    def encrypt_again(self, encrypted: str) -> str:
        """
        Encrypt a secret with the newest key.

        :raises PushMetricsConfigurationError: if none of the keys encrypted it.
        """
        return self.encrypt(self.decrypt(encrypted))


def load_secret_keys(data_dir: Path) -> tuple[str, ...]:
    """
    Read the keys of a data folder, the newest in the first line.

    The first one is generated at the first start, by one of the processes that start at once. Only the owner
    of the folder can read the file.
    """
    path = data_dir / KEY_FILE
    if not path.exists():
        write_private_file_once(path, secrets.token_urlsafe(MIN_KEY_LENGTH))
    return read_secret_keys(data_dir)


def read_secret_keys(data_dir: Path) -> tuple[str, ...]:
    """Read the keys of a data folder; none if there is no file."""
    path = data_dir / KEY_FILE
    return tuple(path.read_text(encoding="utf-8").split()) if path.exists() else ()


def _can_decrypt(cipher: Fernet | MultiFernet, encrypted: str) -> bool:
    try:
        cipher.decrypt(encrypted.encode())
    except InvalidToken:
        return False
    return True


def _derive(secret_key: str, purpose: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=b"pushmetrics service: " + purpose).derive(
        secret_key.encode()
    )
