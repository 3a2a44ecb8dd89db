"""Transfers: results to any storage that Airflow supports."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from airflow_provider_pushmetrics.client.models import QueryOutcome, RunStatus, SavedResult
from airflow_provider_pushmetrics.client.outcomes import describe_truncation, fetch_query_outcome
from airflow_provider_pushmetrics.compat import AirflowSkipException, BaseOperator, ObjectStoragePath
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsNoResultsError,
    PushMetricsParameterError,
    PushMetricsRunFailed,
)
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.hooks.results import FORMATS, Truncation
from airflow_provider_pushmetrics.metrics import count_transfer, time_transfer
from airflow_provider_pushmetrics.storable import make_storable
from airflow_provider_pushmetrics.tasks.arguments import TRUNCATIONS, check_choice
from airflow_provider_pushmetrics.tasks.asset_facts import ResultOutlets
from airflow_provider_pushmetrics.tasks.failures import refuse_truncation, retry_only_if_useful
from airflow_provider_pushmetrics.tasks.lineage import SavedFile, build_files_lineage
from airflow_provider_pushmetrics.transfers.digest import BackgroundDigest
from airflow_provider_pushmetrics.transfers.report_runs import read_run, refuse_failed_run
from airflow_provider_pushmetrics.transfers.updates import ResultUpdates

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

log = logging.getLogger(__name__)

DEFAULT_FORMAT = "json"
"""The only format that PushMetrics documents."""

STATUS_FORMATS = ("json", "ndjson")
"""The formats that a failed query has not, or in which it says that it failed."""

NO_RESULTS = ("fail", "skip", "succeed")
MAX_NAME_CHARACTERS = 100
DOWNLOAD_PROGRESS_SECONDS = 10.0
"""How often the progress of a file is logged."""


class PushMetricsToObjectStorageOperator(BaseOperator):
    """
    Save the results of a report run or of a single query to files.

    Each file is streamed, however large it is, and appears only when it is complete; an existing file is
    replaced. So a task may be retried.

    See docs/provider.md for more.

    :param path: Where to save: a folder for the results of a run, whose files are named after their queries,
        or a file for the result of a query. A local path or any URL that Airflow's object storage supports.
        (templated)
    :param report_run: The run whose results are saved: the return value of
        ``PushMetricsTriggerReportOperator`` or ``PushMetricsRunSensor``, or the body of a ``report.run`` or
        ``query.run`` event. (templated)
    :param query_result: Instead of ``report_run``: the URL of the result of one query, such as the
        ``query_result`` of a ``query.run`` event. (templated)
    :param queries: The names of the queries to save; None for all. (templated)
    :param file_format: ``json``, ``ndjson``, ``csv``, ``arrow``, ``parquet`` or ``xlsx``; None to use
        the extension of ``path`` for one query, and ``json`` for a run. PushMetrics documents only JSON;
        other formats need a server that has them, such as the reference service.
    :param on_no_results: What to do if the run has no query: ``fail``, ``skip``, or ``succeed`` without
        files.
    :param on_truncated: What to do if a result is incomplete because of a row limit: ``warn`` and
        save it, or ``fail`` without a retry, before it is saved, also if the server does not say whether
        rows are missing.
    :param partition_by: The parameter of the run whose value is the partition key of the asset events of
        ``outlets``, such as ``month``; needs Airflow 3.3.
    :param storage_conn_id: The connection of the storage; None for the one in ``path``, if any.
        (templated)
    :param pushmetrics_conn_id: The connection, of the type PushMetrics. (templated)
    :return: A list of files: ``query_name``, ``path``, ``rows`` (None if the server does not return it),
        ``bytes``, ``sha256``, ``is_truncated`` and ``row_limit``.
    :raises PushMetricsRunFailed: if a query of the run failed.
    :raises PushMetricsNoResultsError: if the run has no query, unless ``on_no_results`` allows it.
    :raises PushMetricsTruncatedResultError: if a result is incomplete and ``on_truncated`` is ``fail``.
    :raises PushMetricsParameterError: for a wrong argument.
    """

    template_fields: Sequence[str] = (
        "path",
        "report_run",
        "query_result",
        "queries",
        "storage_conn_id",
        "pushmetrics_conn_id",
    )
    template_fields_renderers = {"report_run": "json"}
    ui_color = "#e9f3ff"

    def __init__(
        self,
        *,
        path: str,
        report_run: Mapping[str, Any] | None = None,
        query_result: str | None = None,
        queries: Sequence[str] | None = None,
        file_format: str | None = None,
        on_no_results: Literal["fail", "skip", "succeed"] = "fail",
        on_truncated: Literal["warn", "fail"] = "warn",
        partition_by: str | None = None,
        storage_conn_id: str | None = None,
        pushmetrics_conn_id: str = PushMetricsHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if file_format is not None:
            check_choice("file_format", file_format, tuple(FORMATS))
        check_choice("on_no_results", on_no_results, NO_RESULTS)
        check_choice("on_truncated", on_truncated, TRUNCATIONS)
        self.path = path
        self.report_run = report_run
        self.query_result = query_result
        self.queries = queries
        self.file_format = file_format
        self.on_no_results = on_no_results
        self.on_truncated = on_truncated
        self.partition_by = partition_by
        self.storage_conn_id = storage_conn_id
        self.pushmetrics_conn_id = pushmetrics_conn_id
        self._saved: list[SavedFile] = []
        self._updates  # noqa: B018  # refuses what cannot be combined

    @cached_property
    def hook(self) -> PushMetricsHook:
        """The hook, created after the connection's id has been rendered."""
        return PushMetricsHook(self.pushmetrics_conn_id)

    @retry_only_if_useful
    def execute(self, context: Context) -> list[SavedResult]:
        """Save each result, one after the other."""
        if (self.report_run is None) == (self.query_result is None):
            raise PushMetricsParameterError("exactly one of report_run and query_result must be set.")
        self._saved = []
        if self.query_result is not None:
            queries = [QueryOutcome(query_id=0, query_result=self._check_url())]
        else:
            queries = self._list_queries()
        if not queries:
            return self._handle_no_results()
        updates = self._updates
        updates.prepare(self.hook, [query.query_result for query in queries])
        saved = self._save_all(queries)
        updates.emit(context, [query.query_result for query in queries], saved)
        return saved

    def _save_all(self, queries: list[QueryOutcome]) -> list[SavedResult]:
        if self.query_result is not None:
            path = ObjectStoragePath(self.path, conn_id=self.storage_conn_id)
            return [self._save(SavedQuery(queries[0].query_result), path, self.file_format)]
        if self.on_truncated == "fail":
            refuse_truncation(tuple(query for query in queries if query.is_truncated))
        return [self._save_query(query, name) for query, name in name_files(queries)]

    @property
    def _updates(self) -> ResultUpdates:
        return ResultUpdates(ResultOutlets(self, self.partition_by))

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Describe the results and the files for OpenLineage, if its provider is installed."""
        return build_files_lineage(self.hook.settings.base_url, self._saved)

    def _check_url(self) -> str:
        url = str(self.query_result).strip()
        if url in ("", "None"):
            raise PushMetricsParameterError(
                f"query_result is {self.query_result!r}, although it was set: its template rendered to"
                " nothing."
            )
        return url

    def _list_queries(self) -> list[QueryOutcome]:
        """List the queries to save, with their row counts if the API returns them."""
        named = read_run(self.report_run)
        url = named.outputs_url
        if named.run is not None:
            url = self.hook.build_outputs_url(*named.run)
        if url is None:
            return choose_queries(list(named.queries), self.queries)
        outputs = self.hook.wait_for_outputs(url)
        chosen = choose_queries(list(outputs.queries), self.queries)
        refuse_failed_run(outputs, chosen)
        if outputs.status is RunStatus.SUCCESS:
            known = {"status": RunStatus.SUCCESS.value}
            return [query if query.status else query.model_copy(update=known) for query in chosen]
        return chosen

    def _handle_no_results(self) -> list[SavedResult]:
        """Fail, skip or succeed if there is nothing to save."""
        message = "the run has no query, so there are no results to save."
        if self.on_no_results == "skip":
            raise AirflowSkipException(message)
        if self.on_no_results == "fail":
            raise PushMetricsNoResultsError(
                f"{message} If that is expected, set on_no_results='skip' or on_no_results='succeed'."
            )
        if self._updates:
            raise PushMetricsNoResultsError(f"{message} The task has a PushMetrics asset in 'outlets'.")
        log.warning("%s", message)
        return []

    def _save_query(self, query: QueryOutcome, name: str) -> SavedResult:
        if query.status is not None and RunStatus.parse(query.status) is not RunStatus.SUCCESS:
            raise PushMetricsRunFailed(
                f"query {query.query_name or query.query_id!r} has no result to save: it ended with status"
                f" {query.status}: {query.error or 'no message'}."
            )
        file_format = self.file_format or DEFAULT_FORMAT
        folder = ObjectStoragePath(self.path, conn_id=self.storage_conn_id)
        truncation = Truncation(query.is_truncated, query.row_limit)
        saved = SavedQuery(query.query_result, query.query_name, query.row_count, truncation, query.status)
        return self._save(saved, folder / f"{name}.{file_format}", file_format)

    def _refuse_failed(self, query: SavedQuery, path: ObjectStoragePath, file_format: str | None) -> None:
        """
        Check that a query did not fail, if nothing says so yet. Its JSON says so itself.

        :raises PushMetricsRunFailed: if it failed.
        """
        if query.status is not None or (file_format or path.suffix.removeprefix(".")) in STATUS_FORMATS:
            return
        outcome = self.hook.call(fetch_query_outcome(self.hook.credentials, query.url, None))
        if outcome.failure:
            raise PushMetricsRunFailed(outcome.failure)
        if outcome.unknown:
            log.warning("%s whether the query succeeded: it is saved. %s", outcome.unknown, query.url)

    def _save(self, query: SavedQuery, path: ObjectStoragePath, file_format: str | None) -> SavedResult:
        self._refuse_failed(query, path, file_format)
        with time_transfer(), BackgroundDigest() as digest:
            progress = Progress(str(path), digest)
            size = self.hook.save_query_result(
                query.url,
                path,
                file_format=file_format,
                observe=progress.observe,
                observe_truncation=lambda truncation: self._record_truncation(query, truncation),
            )
        self._warn_if_truncated(query)
        count_transfer(size)
        self._saved.append(SavedFile(query.url, str(path), query.rows, size))
        log.info("%s: %d bytes in %.1f s", path, size, time.monotonic() - progress.began)
        saved: SavedResult = make_storable(
            {
                "query_name": query.name,
                "path": str(path),
                "rows": query.rows,
                "bytes": size,
                "sha256": digest.hexdigest(),
                "is_truncated": query.truncation.is_truncated,
                "row_limit": query.truncation.row_limit,
            }
        )
        return saved

    def _record_truncation(self, query: SavedQuery, truncation: Truncation) -> None:
        """Record whether a result is incomplete, or refuse it before anything is written."""
        if truncation.is_truncated is not None:
            query.truncation = truncation
        if self.on_truncated == "fail":
            refuse_truncation((query.describe(),))

    def _warn_if_truncated(self, query: SavedQuery) -> None:
        if query.truncation.is_truncated:
            log.warning("%s on_truncated='fail' would fail", describe_truncation((query.describe(),)))


@dataclass
class SavedQuery:
    """
    A query whose result is saved.

    :param url: The URL of the result.
    :param rows: How many rows it has; None if the server does not return it.
    :param truncation: Whether it is incomplete, if the server says.
    :param status: The status of the query; None if it is not known yet.
    """

    url: str
    name: str | None = None
    rows: int | None = None
    truncation: Truncation = field(default_factory=Truncation)
    status: str | None = None

    def describe(self) -> QueryOutcome:
        """Describe it in the form of a run's outputs."""
        return QueryOutcome(
            query_id=0,
            query_name=self.name or self.url,
            query_result=self.url,
            is_truncated=self.truncation.is_truncated,
            row_limit=self.truncation.row_limit,
        )


@dataclass
class Progress:
    """
    The progress of a file that is being written.

    :param path: The file, for the log.
    :param digest: Receives each piece.
    """

    path: str
    digest: BackgroundDigest
    began: float = field(default_factory=time.monotonic)
    size: int = 0
    told_at: float = field(default_factory=time.monotonic)

    def observe(self, chunk: bytes) -> None:
        """Count a piece, and log the progress from time to time."""
        self.size += len(chunk)
        self.digest.update(chunk)
        now = time.monotonic()
        if now - self.told_at >= DOWNLOAD_PROGRESS_SECONDS:
            self.told_at = now
            rate = self.size / 2**20 / (now - self.began)
            log.info("%s: %.0f MiB so far, %.1f MiB/s", self.path, self.size / 2**20, rate)


def choose_queries(queries: list[QueryOutcome], names: Sequence[str] | None) -> list[QueryOutcome]:
    """
    Choose queries by name.

    :raises PushMetricsParameterError: if there is no query of a name.
    """
    if names is None:
        return queries
    wanted = [names] if isinstance(names, str) else list(names)
    if not wanted:
        raise PushMetricsParameterError("queries is empty: name those to save, or leave it out to save all.")
    known = {query.query_name for query in queries}
    missing = [name for name in wanted if name not in known]
    if missing:
        raise PushMetricsParameterError(
            f"the run has no query {', '.join(map(repr, missing))}; it has"
            f" {', '.join(sorted(repr(name) for name in known)) or 'none'}."
        )
    return [query for query in queries if query.query_name in wanted]


def name_files(queries: Sequence[QueryOutcome]) -> list[tuple[QueryOutcome, str]]:
    """Name a file for each query, inside one folder, whatever a webhook calls the query; no two are alike."""
    names = [quote(query.query_name or "", safe=" ")[:MAX_NAME_CHARACTERS].lstrip(".") for query in queries]
    counts = Counter(name.casefold() for name in names)  # not every file system distinguishes the case
    named: list[tuple[QueryOutcome, str]] = []
    taken = {name for name, count in counts.items() if name and count == 1}
    for query, name in zip(queries, names, strict=True):
        if not name or counts[name.casefold()] > 1:
            name = f"{name or 'query'}-{query.query_id}"
            while name.casefold() in taken:
                name += "-"
            taken.add(name.casefold())
        named.append((query, name))
    return named
