"""Access to the database of a service that is there, also while its processes run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.redaction import redact
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.schema import require_schema
from airflow_provider_pushmetrics.serving.sqlite import check_after_crash


@contextmanager
def open_store(settings: ServiceSettings) -> Iterator[Database]:
    """
    Open the database of a service, without making or migrating anything.

    :raises PushMetricsConfigurationError: if there is none, if it does not answer, if its file is damaged, or
        if its schema is not that of this version.
    """
    if settings.database_url is None and not settings.database_file.is_file():
        raise PushMetricsConfigurationError(
            f"there is no service in the folder {str(settings.data_dir)!r}: name its data folder with --data"
            " or PUSHMETRICS_SERVICE_DATA, or its PostgreSQL with PUSHMETRICS_SERVICE_DATABASE_URL."
        )
    database = Database(settings.store_url, listen_url=settings.listen_database_url)
    try:
        check_after_crash(database.engine)
        require_schema(database)
        yield database
    except SQLAlchemyError as error:
        raise describe_outage(error) from None
    finally:
        database.close()


def describe_outage(error: SQLAlchemyError) -> PushMetricsConfigurationError:
    """Describe an error of the database without the values of its statement."""
    reason = redact(" ".join(str(getattr(error, "orig", None) or type(error).__name__).split()))
    return PushMetricsConfigurationError(
        f"the database cannot be used: {reason}. Check --database-url or PUSHMETRICS_SERVICE_DATABASE_URL,"
        " then run this command again."
    )
