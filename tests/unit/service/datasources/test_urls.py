"""Which database URLs are accepted."""

from __future__ import annotations

import pytest
from sqlalchemy.engine import make_url

from airflow_provider_pushmetrics.service.datasources import urls
from airflow_provider_pushmetrics.service.datasources.urls import (
    BACKENDS,
    describe_source,
    is_set,
    restore_masked,
)

SECRET = "s3cret-word"


def parse_source_url(text: str) -> tuple[str, str]:
    """Parse a URL as where all drivers are installed."""
    return urls.parse_source_url(text, is_installed=lambda module: True)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("postgresql://me:pw@db/shop", "postgresql+psycopg://me:pw@db/shop"),
        ("postgres://me@db", "postgresql+psycopg://me@db"),
        ("postgresql+psycopg2://db:6543/shop?sslmode=verify-full&sslrootcert=ca.pem", None),
        (
            "postgresql:///shop?host=/var/run/postgresql",
            "postgresql+psycopg:///shop?host=%2Fvar%2Frun%2Fpostgresql",
        ),
        ("postgresql://db/shop?options=-c%20search_path%3Dsales,public", None),
        ("mysql://me@db/shop?charset=utf8mb4", "mysql+pymysql://me@db/shop?charset=utf8mb4"),
        ("mariadb+pymysql://me@db/shop", "mariadb+pymysql://me@db/shop"),
        ("mssql://me@db/shop", "mssql+pymssql://me@db/shop"),
        ("mssql://me@db/shop?encryption=Require", "mssql+pymssql://me@db/shop?encryption=Require"),
        ("mysql://me@db/shop?ssl_ca=ca.pem&ssl_check_hostname=1", None),
        ("oracle://me@db/?service_name=shop", "oracle+oracledb://me@db/?service_name=shop"),
        ("sqlite:///shop.db", "sqlite+pysqlite:///shop.db"),
    ],
)
def test_url_is_stored_with_the_driver_that_opens_it(text: str, stored: str | None) -> None:
    kind, location = parse_source_url(text)
    assert kind == make_url(location).get_backend_name()
    assert make_url(location).drivername in {backend.drivername for backend in BACKENDS.values()}
    if stored is not None:
        assert location == stored


def test_file_of_duckdb_is_stored_as_its_path() -> None:
    assert parse_source_url("duckdb:///exports/2026") == ("duckdb", "exports/2026")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nonsense", "must be a database URL"),
        ("://", "must be a database URL"),
        (f"postgresql://me:{SECRET}@db:x/shop", "must be a database URL"),
        (f"nosuch://me:{SECRET}@db/shop", "begins with 'nosuch'"),
        (f"postgresql+asyncpg://me:{SECRET}@db/shop", "begins with 'postgresql\\+asyncpg'"),
        (f"mssql+pyodbc://me:{SECRET}@db/shop?driver=/tmp/evil.so", "begins with 'mssql\\+pyodbc'"),
        (f"mysql+mysqldb://me:{SECRET}@db/shop", "begins with 'mysql\\+mysqldb'"),
        (f"postgresql://me:{SECRET}@/shop", "must name a host"),
        (f"postgresql://me:{SECRET}@db:0/shop", "the port 0"),
        (f"postgresql://me:{SECRET}@db:65536/shop", "the port 65536"),
        (f"oracle://me:{SECRET}@db", "must name a service"),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite:///file:shop.db?uri=true", "must name a file"),
        ("sqlite:///shop.db?mode=rwc", "'mode', which is not allowed for sqlite: it has none"),
        (f"mysql://me:{SECRET}@db/shop?charset=sjis", "'charset' that is not allowed"),
        (f"mssql://me:{SECRET}@db/shop?charset=SJIS", "'charset' that is not allowed"),
        (f"postgresql://me:{SECRET}@db/shop?client_encoding=BIG5", "'client_encoding' that is not allowed"),
        (f"mssql://me:{SECRET}@db/shop?encryption=true", "'encryption' that is not allowed"),
        (f"mysql://me:{SECRET}@db/shop?ssl_check_hostname=true", "checks nothing without 'ssl_ca'"),
        ("duckdb:///:memory:", "must name a file or a folder"),
        ("duckdb://shop.duckdb", "three slashes"),
    ],
)
def test_url_that_cannot_be_used_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        parse_source_url(text)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "option",
    [
        "host=169.254.169.254",
        "host=elsewhere",
        "host=/tmp,elsewhere",
        "hostaddr=127.0.0.1",
        "port=5433",
        "dbname=service",
        f"password={SECRET}",
        "passfile=/etc/.pgpass",
        "service=own",
        "servicefile=/tmp/x",
        "requirepeer=root",
        "options=-c%20session_preload_libraries%3Devil",
        "sslmode=nonsense",
        "connect_timeout=0",
        "connect_timeout=86400",
        "sslmode=require&sslmode=disable",
        "nonsense=1",
    ],
)
def test_options_of_postgresql_that_lead_elsewhere_are_refused(option: str) -> None:
    with pytest.raises(ValueError, match="option") as caught:
        parse_source_url(f"postgresql://me@db/shop?{option}")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "option",
    [
        "read_default_file=/etc/.my.cnf",
        "local_infile=1",
        "init_command=DROP+TABLE+x",
        "unix_socket=/tmp/mysql.sock",
        "host=elsewhere",
        "autocommit=true",
        "plugin_dir=/tmp",
        "ssl_check_hostname=maybe",
    ],
)
@pytest.mark.parametrize("scheme", ["mysql", "mariadb"])
def test_options_of_mysql_that_lead_elsewhere_are_refused(scheme: str, option: str) -> None:
    with pytest.raises(ValueError, match="option"):
        parse_source_url(f"{scheme}://me@db/shop?{option}")


@pytest.mark.parametrize(
    "url",
    [
        "oracle://me@db/?service_name=x&config_dir=/tmp",
        "oracle://me@db/?service_name=(ADDRESS=(HOST=elsewhere))",
        "mssql://me@db/shop?conn_properties=SET+x",
        "mssql://me@db/shop?odbc_connect=x",
    ],
)
def test_options_of_other_databases_that_lead_elsewhere_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="option"):
        parse_source_url(url)


@pytest.mark.parametrize(
    "rest",
    [
        "x.snowflakecomputing.attacker.net/shop",
        "x.SNOWFLAKECOMPUTING.attacker.net/shop",
        "x.snowflakecomputing.com.attacker.net/shop",
        "169.254.169.254:80/shop",
        "account:443/shop",
        "[::1]/shop",
        "acc%6Funt/shop",
        "account/x@169.254.169.254:80/shop",
        "account/shop/public/more",
        "account/shop%40elsewhere/public",
        "account/shop:1",
    ],
)
@pytest.mark.parametrize("kind", ["snowflake", "bigquery"])
def test_url_of_a_cloud_that_may_lead_elsewhere_is_refused(kind: str, rest: str) -> None:
    with pytest.raises(ValueError, match=r"must name an account|has a database or schema") as caught:
        parse_source_url(f"{kind}://me:{SECRET}@{rest}")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"snowflake://me:{SECRET}@my-org_1.eu-central-1.aws/shop/public?warehouse=w",
        f"snowflake://me:{SECRET}@org-account",
        f"snowflake://me:{SECRET}@x.eu-west-1.snowflakecomputing.com/SHOP_1/X",
        f"snowflake://me:{SECRET}@x.snowflakecomputing.cn/shop",
        "bigquery://my-project-1/dataset_1",
        "bigquery://my-project",
    ],
)
def test_url_of_a_cloud_names_an_account(url: str) -> None:
    assert parse_source_url(url) == (url.partition(":")[0], url)


def test_driver_that_is_not_installed_is_named_with_its_extra() -> None:
    with pytest.raises(ValueError, match=r"'pymysql'.*airflow-provider-pushmetrics\[mysql\]"):
        urls.parse_source_url("mysql://me@db/shop", is_installed=lambda module: False)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://me:pw@db/shop?sslkey=x&sslmode=verify-full", "sslkey=***&sslmode=verify-full"),
        ("postgresql+psycopg://me:pw@/shop?host=/run/pg&application_name=x", "application_name=x&host=***"),
        ("mysql+pymysql://me:pw@db/shop?ssl_ca=/etc/ca.pem", "ssl_ca=***"),
        ("flightsql://me:pw@db?tls=true&dialect=postgresql", "dialect=postgresql&tls=true"),
    ],
)
def test_url_is_shown_with_its_options_but_without_its_password_and_paths(url: str, shown: str) -> None:
    address, _, query = describe_source(make_url(url)).partition("?")
    assert (address, query) == (url.partition("?")[0].replace(":pw@", ":***@"), shown)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me:p%40w@db/shop?options=-c+search_path%3Da%2Cb&sslmode=verify-full",
        "postgresql+psycopg://me:pw@db/shop?sslmode=require&sslrootcert=ca.pem",
        "postgresql+psycopg://me@db/shop?sslcert=a.pem&sslkey=b.pem",
        "postgresql+psycopg://me:pw@/shop?host=%2Frun%2Fpg",
        "mysql+pymysql://me:pw@db/shop?ssl_ca=ca.pem&ssl_check_hostname=0",
        "mariadb+pymysql://me:pw@/shop?unix_socket=%2Frun%2Fmysql.sock",
        "mssql+pymssql://me:pw@db/shop?encryption=require",
        "oracle+oracledb://me:pw@db/?service_name=shop",
        "snowflake://me:pw@account/shop?role=r",
        "flightsql://me:pw@db:1?tls=1",
        "sqlite+pysqlite:///shop.db",
    ],
)
def test_shown_url_stands_for_the_stored_one(url: str) -> None:
    stored = make_url(url)
    shown = describe_source(stored)
    assert make_url(restore_masked(shown, stored)) == stored
    renamed = make_url(shown).set(database="other").render_as_string(hide_password=False)
    assert make_url(restore_masked(renamed, stored)) == stored.set(database="other")


@pytest.mark.parametrize(
    ("flag", "truth"),
    [("true", True), ("TRUE", True), ("True", True), ("1", True), ("false", False), ("0", False)],
)
def test_flag_means_the_same_in_each_spelling_that_is_accepted(flag: str, truth: bool) -> None:
    _, location = parse_source_url(f"flightsql://db?tls={flag}")
    assert is_set(make_url(location), "tls") is truth


STORED = make_url(f"postgresql+psycopg://me:{SECRET}@db/shop?sslrootcert=ca.pem&sslmode=verify-full")


def test_masked_password_stands_for_the_stored_one() -> None:
    assert restore_masked("postgresql+psycopg://me:***@db/other", STORED) == (
        f"postgresql+psycopg://me:{SECRET}@db/other"
    )
    assert restore_masked("postgresql+psycopg://me:new@db/other", STORED) == (
        "postgresql+psycopg://me:new@db/other"
    )


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me:***@elsewhere/shop",
        "postgresql://me:***@db:5433/shop",
        "postgresql://other:***@db/shop",
        "mysql://me:***@db/shop",
        "postgresql://me:***@/shop?host=/tmp",
        "postgresql://me:***@elsewhere/shop?sslrootcert=***",
        "postgresql://me@elsewhere/shop?sslrootcert=***",
    ],
)
def test_stored_password_is_sent_to_no_other_server(text: str) -> None:
    with pytest.raises(ValueError, match="it needs the password"):
        restore_masked(text, STORED)
