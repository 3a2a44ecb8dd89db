"""Reading the pictures of a chart from the result store."""

from __future__ import annotations

import zipfile
import zlib

from airflow_provider_pushmetrics.service.charts.pictures import DrawnChart
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.results.stored_result import ResultError


def read_pictures(results: ResultStore, file: str) -> DrawnChart:
    """
    Read the pictures of a chart that was drawn in a run.

    :raises ResultError: if they were deleted, or are damaged.
    :raises ObjectStoreError: if the object storage does not answer.
    """
    content = results.read_bytes(file)
    try:
        return DrawnChart.decode(content)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError) as error:
        raise ResultError(f"the pictures {file!r} are damaged.") from error
