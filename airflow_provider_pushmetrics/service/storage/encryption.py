"""Encryption of secrets that are shown or used again: trigger tokens, signing secrets, database URLs."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError

KEY_FILE = "secret-key"
MIN_KEY_LENGTH = 32


class Cipher:
    """
    Encrypts and decrypts, and signs JWTs, with keys made from one secret.

    :param secret_key: The secret; at least 32 characters.
    """

    def __init__(self, secret_key: str) -> None:
        if len(secret_key) < MIN_KEY_LENGTH:
            raise PushMetricsConfigurationError(
                f"the service's secret key is too short: it must have at least {MIN_KEY_LENGTH} characters."
                " Generate one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )
        self._fernet = Fernet(base64.urlsafe_b64encode(_derive(secret_key, b"stored secrets")))
        self.jwt_key = _derive(secret_key, b"jwt")

    def encrypt(self, text: str) -> str:
        """Encrypt a secret for the database."""
        return self._fernet.encrypt(text.encode()).decode("ascii")

    def decrypt(self, encrypted: str) -> str:
        """
        Decrypt a secret from the database.

        :raises PushMetricsConfigurationError: if it was encrypted with another key.
        """
        try:
            return self._fernet.decrypt(encrypted.encode("ascii")).decode()
        except InvalidToken:
            raise PushMetricsConfigurationError(
                "a stored secret cannot be decrypted: the service's secret key is not the one that encrypted"
                f" it. Start the service with the old key (the file {KEY_FILE!r} of its data folder, or"
                " PUSHMETRICS_SERVICE_SECRET_KEY)."
            ) from None


def load_secret_key(data_dir: Path) -> str:
    """Read the key of a data folder; it is generated at the first start, and only its owner can read it."""
    path = data_dir / KEY_FILE
    if not path.exists():
        write_private_file(path, secrets.token_urlsafe(MIN_KEY_LENGTH))
    return path.read_text(encoding="ascii").strip()


def write_private_file(path: Path, text: str) -> None:
    """Write a file atomically that only its owner can read."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)


def _derive(secret_key: str, purpose: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=b"pushmetrics service: " + purpose).derive(
        secret_key.encode()
    )
