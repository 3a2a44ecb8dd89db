"""Database URLs: checking, storing and showing them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from airflow_provider_pushmetrics.service.datasources.locations import has_safe_parts, is_object_url

DUCKDB = "duckdb"
SQLITE = "sqlite"
FLIGHT_SQL = "flightsql"

FILE_BACKENDS = frozenset({DUCKDB, SQLITE})

CLOUDS = frozenset({"snowflake", "bigquery"})
"""Their drivers connect to the vendor: the host of their URL is the name of an account."""

NOT_A_URL = "must be a database URL, such as postgresql://user:password@host/database"
MASK = "***"
"""Stands for a stored value that is not shown."""

ENCODED_MASK = "%2A%2A%2A"

VALUE = re.compile(r"[\w.,:+/-]{1,200}\Z")
UTF8 = re.compile(r"utf-?8\Z", re.IGNORECASE)
UTF8MB4 = re.compile(r"utf8mb4\Z", re.IGNORECASE)
"""In other encodings, quoted text can mean something else at the server: 0x5C is ¥ in some."""

SECONDS = re.compile(r"[1-9][0-9]?\Z")
SET_FLAGS = frozenset({"true", "1"})
FLAG = re.compile(r"(true|false|1|0)\Z", re.IGNORECASE)
PATH = re.compile(r"[^\x00]{1,1000}\Z")
SEARCH_PATH = re.compile(r"-c ?search_path=[\w,$\"]{1,200}\Z")
SSL_MODE = re.compile(r"(disable|allow|prefer|require|verify-ca|verify-full)\Z")
ENCRYPTION = re.compile(r"(off|request|require|strict)\Z", re.IGNORECASE)
"""Some versions of FreeTDS take other values for ``off``."""

SOCKET = re.compile(r"/[^\x00,]{0,100}\Z")
ACCOUNT = re.compile(r"[A-Za-z0-9_.-]{1,255}\Z")
CLOUD_NAMES = re.compile(r"[\w$.-]{0,255}(/[\w$.-]{0,255})?\Z")
"""A project and its data set, or a database and its schema."""

SNOWFLAKE_DOMAINS = (".snowflakecomputing.com", ".snowflakecomputing.cn")


@dataclass(frozen=True)
class Backend:
    """
    A kind of database, and the rules of its URLs.

    :param drivername: Its driver.
    :param aliases: Other schemes of its URLs.
    :param module: The required module, and ``extra``, which installs it.
    :param options: The allowed options after ``?``, and the patterns of their values. All others are
        refused: drivers have options that read files, run programs, or connect to another host.
    :param files: The options that name a file, which must be in a folder of sources.
    :param socket: The option that names a socket of this machine.
    """

    drivername: str
    module: str
    extra: str = "service"
    aliases: frozenset[str] = frozenset()
    options: Mapping[str, re.Pattern[str]] | None = None
    files: frozenset[str] = frozenset()
    socket: str | None = None

    def list_options(self) -> dict[str, re.Pattern[str]]:
        socket = {} if self.socket is None else {self.socket: SOCKET}
        return {**(self.options or {}), **dict.fromkeys(self.files, PATH), **socket}


POSTGRESQL = Backend(
    "postgresql+psycopg",
    "psycopg",
    aliases=frozenset({"postgresql", "postgres", "postgresql+psycopg2"}),
    options={
        "application_name": VALUE,
        "channel_binding": VALUE,
        "client_encoding": UTF8,
        "connect_timeout": SECONDS,
        "options": SEARCH_PATH,
        "sslmode": SSL_MODE,
        "target_session_attrs": VALUE,
    },
    files=frozenset({"sslcert", "sslkey", "sslrootcert"}),
    socket="host",
)
MYSQL_OPTIONS: Mapping[str, re.Pattern[str]] = {
    "charset": UTF8MB4,
    "connect_timeout": SECONDS,
    "ssl_check_hostname": FLAG,
}
MYSQL_FILES = frozenset({"ssl_ca", "ssl_cert", "ssl_key"})

BACKENDS: Mapping[str, Backend] = {
    "postgresql": POSTGRESQL,
    "mysql": Backend(
        "mysql+pymysql",
        "pymysql",
        "mysql",
        aliases=frozenset({"mysql"}),
        options=MYSQL_OPTIONS,
        files=MYSQL_FILES,
        socket="unix_socket",
    ),
    "mariadb": Backend(
        "mariadb+pymysql",
        "pymysql",
        "mysql",
        aliases=frozenset({"mariadb"}),
        options=MYSQL_OPTIONS,
        files=MYSQL_FILES,
        socket="unix_socket",
    ),
    "mssql": Backend(
        "mssql+pymssql",
        "pymssql",
        "mssql",
        aliases=frozenset({"mssql"}),
        options={"appname": VALUE, "charset": UTF8, "tds_version": VALUE, "encryption": ENCRYPTION},
    ),
    "oracle": Backend(
        "oracle+oracledb",
        "oracledb",
        "oracle",
        aliases=frozenset({"oracle"}),
        options={"service_name": VALUE},
    ),
    "snowflake": Backend(
        "snowflake",
        "adbc_driver_snowflake",
        "snowflake",
        options={"role": VALUE, "warehouse": VALUE},
    ),
    "bigquery": Backend("bigquery", "adbc_driver_bigquery", "bigquery"),
    FLIGHT_SQL: Backend(
        FLIGHT_SQL, "adbc_driver_flightsql", "flightsql", options={"dialect": VALUE, "tls": FLAG}
    ),
    SQLITE: Backend("sqlite+pysqlite", "sqlite3", aliases=frozenset({"sqlite"})),
    DUCKDB: Backend("duckdb", "duckdb"),
}


def is_installed(module: str) -> bool:
    """Return whether a module can be imported."""
    return find_spec(module) is not None


def parse_source_url(text: str, *, is_installed: Callable[[str], bool] = is_installed) -> tuple[str, str]:
    """
    Parse a database URL.

    :return: Its kind, which is the name of its dialect, and its location, which is stored encrypted.
    :raises ValueError: if the URL cannot be used. The message never contains the URL or its password.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(NOT_A_URL) from None
    if is_object_url(text):
        url = URL.create(DUCKDB, database=text)  # the short form
    name, backend = _find_backend(url)
    if not is_installed(backend.module):
        raise ValueError(
            f"needs the driver {backend.module!r}, which is not installed: install"
            f" airflow-provider-pushmetrics[{backend.extra}]"
        )
    if name in FILE_BACKENDS:
        _check_file(url, name)
        if is_object_url(str(url.database)):
            _check_object_url(str(url.database))
        if name == DUCKDB:
            return DUCKDB, str(url.database)
    else:
        _check_server(url, name, backend)
    if name in CLOUDS:
        _check_account(url)
    _check_options(url, name, backend)
    return name, url.set(drivername=backend.drivername).render_as_string(hide_password=False)


def build_source_url(kind: str, location: str) -> URL:
    """Build the URL of a database from its stored location."""
    return URL.create(DUCKDB, database=location) if kind == DUCKDB else make_url(location)


def describe_source(url: URL) -> str:
    """
    Build the URL of a database for display, with its password, files and socket masked.

    It has all other options, so that a client can change a part of it and write it back.
    """
    if is_object_url(url.database or ""):
        return str(url.database)
    masked = url.update_query_dict(dict.fromkeys(_find_paths(url), MASK))
    return masked.render_as_string(hide_password=True).replace(ENCODED_MASK, MASK)


def find_socket(url: URL) -> str | None:
    """Find the socket of this machine that a URL names."""
    backend = BACKENDS.get(url.get_backend_name())
    socket = None if backend is None or backend.socket is None else url.query.get(backend.socket)
    return socket if isinstance(socket, str) else None


def find_file_options(url: URL) -> dict[str, str]:
    backend = BACKENDS.get(url.get_backend_name())
    names = frozenset() if backend is None else backend.files
    return {name: str(value) for name, value in url.query.items() if name in names}


def is_set(url: URL, flag: str, *, default: bool = False) -> bool:
    """Return whether an option with the pattern ``FLAG`` is true, in each of its spellings."""
    return str(url.query.get(flag, default)).lower() in SET_FLAGS


def restore_masked(text: str, stored: URL) -> str:
    """
    Replace what is masked in a changed URL by the stored password, files and socket.

    :raises ValueError: if something is masked, and the URL names another user or server than the stored one:
        who changes where a password is sent must know it.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        return text
    paths = {name: value for name, value in _find_paths(url).items() if value == MASK}
    if url.password != MASK and not paths:
        return text
    url = url.update_query_dict({name: stored.query.get(name, MASK) for name in paths})
    if (url.get_backend_name(), url.username, url.host, url.port, find_socket(url)) != (
        stored.get_backend_name(),
        stored.username,
        stored.host,
        stored.port,
        find_socket(stored),
    ):
        raise ValueError(
            "names another user or server, so it needs the password and the files: write them in place of ***"
        )
    if url.password == MASK:
        url = url.set(password=stored.password)
    return url.render_as_string(hide_password=False)


def _find_paths(url: URL) -> dict[str, str]:
    """Find the options of a URL that name files or a socket of this machine."""
    socket = find_socket(url)
    backend = BACKENDS.get(url.get_backend_name())
    if socket is None or backend is None or backend.socket is None:
        return find_file_options(url)
    return {**find_file_options(url), backend.socket: socket}


def _find_backend(url: URL) -> tuple[str, Backend]:
    name = url.drivername.lower()
    for key, backend in BACKENDS.items():
        if name == backend.drivername or name in backend.aliases:
            return key, backend
    known = ", ".join(sorted(BACKENDS))
    raise ValueError(f"begins with {name!r}, which is not a supported database: use one of {known}")


def _check_file(url: URL, name: str) -> None:
    if url.host or url.username or url.password or url.port:
        raise ValueError(f"must have three slashes before its file: {name}:///file")
    if not url.database or url.database.startswith((":memory:", "file:")):
        raise ValueError(f"must name a file{' or a folder' if name == DUCKDB else ''}: {name}:///file.{name}")


def _check_object_url(location: str) -> None:
    if not has_safe_parts(location):
        raise ValueError(
            "must name a bucket and a folder with usual characters, such as s3://bucket/folder. It must have"
            " no credentials: those of the service are used"
        )


def _check_server(url: URL, name: str, backend: Backend) -> None:
    socket = None if backend.socket is None else url.query.get(backend.socket)
    if not url.host and socket is None:
        raise ValueError(f"must name a host: {name}://user:password@host/database")
    if url.host and socket is not None:
        raise ValueError(f"names a host and also the option {backend.socket!r}: leave one of them out")
    if url.port is not None and not 0 < url.port < 65536:
        raise ValueError(f"has the port {url.port}: it must be 1 to 65535")
    if name == "oracle" and not (url.database or url.query.get("service_name")):
        raise ValueError("must name a service: oracle://user:password@host/?service_name=name")


def _check_account(url: URL) -> None:
    """
    Check that a URL of a vendor's cloud names an account and no host.

    The driver of Snowflake splits the URL again, by other rules, and takes a port, or a name with
    ``.snowflakecomputing.`` in it, for a host. No egress rule would apply to that.

    :raises ValueError: if it may name a host.
    """
    host = str(url.host or "").lower()
    is_host = "snowflakecomputing" in host and not host.endswith(SNOWFLAKE_DOMAINS)
    if not ACCOUNT.match(host) or url.port is not None or is_host:
        raise ValueError(
            f"must name an account or a project, and no port: {url.drivername}://account/database"
        )
    if not CLOUD_NAMES.match(url.database or ""):
        raise ValueError("has a database or schema with other characters than letters, digits and _ $ . -")


def _check_options(url: URL, name: str, backend: Backend) -> None:
    allowed = backend.list_options()
    for option, value in url.query.items():
        pattern = allowed.get(option)
        if pattern is None:
            known = f"use only {', '.join(sorted(allowed))}" if allowed else "it has none"
            raise ValueError(f"has the option {option!r}, which is not allowed for {name}: {known}")
        if not isinstance(value, str):
            raise ValueError(f"has the option {option!r} more than once")
        if not pattern.match(value):
            raise ValueError(f"has a value for the option {option!r} that is not allowed")
    if is_set(url, "ssl_check_hostname") and "ssl_ca" not in url.query:
        raise ValueError("has the option 'ssl_check_hostname', which checks nothing without 'ssl_ca'")
