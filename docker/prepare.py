"""
Write what docker-compose.yaml needs and no repository holds: ``.env`` and the folder ``secrets/``.

    python3 docker/prepare.py [FOLDER]

Secrets that are there stay; delete a file to get a new one. What follows from others (URLs, connections, the
configuration of Redis, the certificate unless it is of another CA) is written each time. A new password of a
database needs ``ALTER ROLE … PASSWORD`` there too: PostgreSQL reads the file on an empty volume only. Needs
Python and the command ``openssl``.

The folder is open to its owner only, its files to all: Docker mounts each file into the containers that name
it, whose processes run as other users. No file ends with a newline: Airflow would take it as a part of the
secret.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
CERTIFICATE_DAYS = 825
RENEWED_DAYS = 30
"""How long before its end a certificate of ours is made anew."""

SECRET_MODE = 0o644
CA_NAME = "PushMetrics Compose CA"
ROLES = ("airflow", "inbox", "service")
"""The databases, each with a role of the same name."""

SETTING = re.compile(
    r"""\s*(?:export\s+)?(?P<name>\w+)\s*=  # without spaces before the sign, or with
    (?:[ \t]*(?P<quote>["'])(?P<quoted>(?:\\.|(?!(?P=quote))[^\\])*)(?P=quote)  # until one with no backslash
    |(?P<plain>.*?))  # until a comment, which begins after a space
    (?:\s+\#.*|\s*)\Z""",
    re.VERBOSE,
)
"""A line of an ``.env`` file."""

AFTER_BACKSLASH = re.compile(r"\\([nrt$\"\\])")
ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
"""What follows a backslash in double quotes, unless it stands for itself. Before others it stays."""

REDIS = """\
bind * -::*
requirepass {password}
dir /data
appendonly yes
maxmemory-policy noeviction
"""


class Secrets:
    """
    The files of the secrets.

    :param folder: Where they are.
    :param settings: The settings of ``.env``.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self._folder = folder
        self._settings = settings

    def write(self) -> None:
        """Write the secrets that are missing, and all that follows from them and from the settings."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("postgres_password", "redis_password", "airflow_secret_key", "airflow_jwt_secret"):
            self._make(name)
        for name in ("secret_keys", "trigger_token", "webhook_token", "reader_token"):
            self._make(f"pushmetrics_{name}")
        self._keep("pushmetrics_api_token", lambda: f"pmpat_{secrets.token_urlsafe(48)}")
        self._keep("airflow_fernet_key", lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
        self._keep("airflow_passwords.json", lambda: json.dumps({"admin": secrets.token_urlsafe(18)}))
        self._write_databases()
        self._write("redis.conf", REDIS.format(password=self._make("redis_password")))
        self._write("airflow_broker_url", f"redis://:{self._make('redis_password')}@redis:6379/0")
        self._write_connections()
        self._write_certificate()
        for path in filter(Path.is_file, self._folder.iterdir()):
            self._let_containers_read(path)

    def _let_containers_read(self, path: Path) -> None:
        """Change the mode of a file, also of one that a person wrote, such as a key of mode 0600."""
        if path.stat().st_mode & 0o777 == SECRET_MODE:
            return
        try:
            path.chmod(SECRET_MODE)
        except PermissionError:
            sys.exit(f"{path} belongs to another user: run sudo chmod {SECRET_MODE:o} {path}")

    def _keep(self, name: str, build: Any) -> str:
        """Write a file unless it is there, and give its content."""
        path = self._folder / name
        if not path.exists():
            self._write(name, build())
        return path.read_text("utf-8").strip()

    def _write(self, name: str, text: str) -> None:
        (self._folder / name).write_text(text, "utf-8")

    def _make(self, name: str) -> str:
        return self._keep(name, lambda: secrets.token_urlsafe(48))

    def _write_databases(self) -> None:
        for role in ROLES:
            place = f"{role}:{self._make(f'{role}_db_password')}@postgres:5432/{role}"
            self._write(f"{role}_db_url", f"postgresql+psycopg://{place}")
            if role == "airflow":
                self._write("airflow_result_backend", f"db+postgresql+psycopg://{place}")

    def _write_connections(self) -> None:
        host, port = self._settings["PUSHMETRICS_HOST"], self._settings["HTTPS_PORT"]
        trusted = {"verify": "/run/secrets/ca.crt"}
        self._write("airflow_connections.json", self._describe(f"https://{host}:{port}", trusted))
        self._write("airflow_connections_dev.json", self._describe("http://web:8090", {}))

    def _describe(self, url: str, extra: Mapping[str, Any]) -> str:
        api = {"conn_type": "pushmetrics", "host": url, "password": self._make("pushmetrics_api_token")}
        receiver = {
            "receiver_url": "http://receiver:8091",
            "receiver_token": self._make("pushmetrics_reader_token"),
            "trigger_tokens": {"1": self._make("pushmetrics_trigger_token")},
        }
        connections = {
            "pushmetrics_default": {**api, "extra": {**receiver, **extra}},
            "pushmetrics_api_only": {**api, "extra": {**extra}},
        }
        return json.dumps(connections, indent=2)

    def _write_certificate(self) -> None:
        """Make a certificate of a CA of one's own, unless there is one: put your own into ``tls.*``."""
        names = [self._settings[name] for name in ("AIRFLOW_HOST", "PUSHMETRICS_HOST", "RECEIVER_HOST")]
        if self._has_certificate(names):
            return
        for name, content in make_certificate(names):
            (self._folder / name).write_bytes(content)

    def _has_certificate(self, names: list[str]) -> bool:
        """Return whether there is a certificate of another CA, or a valid one of ours for these names."""
        path = self._folder / "tls.crt"
        if not path.exists():
            return False
        command = ("openssl", "x509", "-in", str(path), "-noout", "-issuer", "-ext", "subjectAltName")
        shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        if CA_NAME not in shown:
            return True
        is_complete = all((self._folder / name).exists() for name in ("ca.crt", "tls.key"))
        ending = ("openssl", "x509", "-in", str(path), "-noout", "-checkend", str(RENEWED_DAYS * 86400))
        is_valid = subprocess.run(ending, check=False, capture_output=True).returncode == 0
        return is_complete and is_valid and re.findall(r"DNS:([^,\s]+)", shown) == names


def make_certificate(names: list[str]) -> Iterator[tuple[str, bytes]]:
    """Make a CA, whose key is not kept, and a certificate for these names; give the files and their names."""
    with tempfile.TemporaryDirectory() as scratch:

        def run(*arguments: str) -> None:
            subprocess.run(["openssl", *arguments], cwd=scratch, check=True, capture_output=True)  # noqa: S607 (the image's own PATH)

        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        days = ("-days", str(CERTIFICATE_DAYS))
        ca = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n"
        ca += "subjectKeyIdentifier=hash\n"
        leaf = f"subjectAltName={','.join(f'DNS:{name}' for name in names)}\nextendedKeyUsage=serverAuth\n"
        leaf += "authorityKeyIdentifier=keyid\n"
        Path(scratch, "ca.ext").write_text(ca, "utf-8")
        Path(scratch, "tls.ext").write_text(leaf, "utf-8")
        for name, subject in (("ca", f"/CN={CA_NAME}"), ("tls", f"/CN={names[0]}")):
            run("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
        run(
            "x509",
            "-req",
            "-in",
            "ca.csr",
            "-signkey",
            "ca.key",
            *days,
            "-extfile",
            "ca.ext",
            "-out",
            "ca.crt",
        )
        run(
            *("x509", "-req", "-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"),
            *days,
            *("-extfile", "tls.ext", "-out", "tls.crt"),
        )
        for name in ("ca.crt", "tls.crt", "tls.key"):
            yield name, Path(scratch, name).read_bytes()


def read_settings(path: Path) -> dict[str, str]:
    """Read the settings of an ``.env`` file; quotes and comments are no part of a value, as for Compose."""
    found = (SETTING.match(line) for line in path.read_text("utf-8").splitlines())
    return {one["name"]: _read_value(one) for one in found if one is not None}


def _read_value(setting: re.Match[str]) -> str:
    quote, quoted = setting["quote"], setting["quoted"]
    if quote is None:
        return str(setting["plain"]).strip()
    if quote == "'":  # only its own kind of quote can be escaped
        return quoted.replace("\\'", "'")
    return AFTER_BACKSLASH.sub(lambda found: ESCAPES.get(found[1], found[1]), quoted)


def main() -> None:
    """Write what is missing."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY
    if shutil.which("openssl") is None:
        sys.exit("the command openssl is not installed: install it")
    settings = folder / ".env"
    if not settings.exists():
        shutil.copy(REPOSITORY / ".env.example", settings)
    Secrets(folder / "secrets", read_settings(settings)).write()
    sys.stdout.write(f"{settings} and {folder / 'secrets'} are complete. Airflow's user is admin;")
    sys.stdout.write(f" the password is in {folder / 'secrets' / 'airflow_passwords.json'}.\n")


if __name__ == "__main__":
    main()
