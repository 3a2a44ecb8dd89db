"""The facts in the asset events of a task's ``outlets``: which run, how many rows, which result."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_pushmetrics.assets.uris import SCHEME, ReportUri, parse_uri
from airflow_provider_pushmetrics.client import calls
from airflow_provider_pushmetrics.client.credentials import Credentials
from airflow_provider_pushmetrics.client.models import QueryOutcome, Run, RunStatus
from airflow_provider_pushmetrics.client.outcomes import (
    RunOutcome,
    fetch_outcome,
    fetch_query_outcome,
    refuse_failure,
)
from airflow_provider_pushmetrics.client.protocol import Call
from airflow_provider_pushmetrics.client.waits import FinishedRun
from airflow_provider_pushmetrics.compat import BaseOperator, redact_secrets, require_airflow
from airflow_provider_pushmetrics.events import QueryRun, ReportRun, parse_event
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsConfigurationError,
    PushMetricsParameterError,
    PushMetricsRunError,
    PushMetricsRunFailed,
)
from airflow_provider_pushmetrics.hooks.settings import PushMetricsSettings
from airflow_provider_pushmetrics.redaction import redact
from airflow_provider_pushmetrics.storable import make_storable

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

MAX_PARTITION_KEY_LENGTH = 250
"""The maximum of Airflow 3.3, which raises a bare ``ValueError`` for a longer one."""

INSTEAD_OF_PARTITIONS = "Leave 'partition_by' out, and read the parameter in the event's extra."


@dataclass(frozen=True)
class RunFacts:
    """
    What a task knows about the run whose results it returns.

    :param report_ids: The names of the report: its number, and its uid if known.
    :param queries: The facts of each query, by its number.
    :param parameters: The parameters of the run; None if unknown.
    :param is_query_run: Whether it is the run of one query outside a report run. Such runs have numbers of
        their own.
    """

    report_ids: frozenset[str]
    run_id: int | None
    status: str | None
    result_url: str | None = None
    queries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    parameters: Mapping[str, Any] | None = None
    is_query_run: bool = False


class ResultOutlets:
    """
    The outlets of a task that are assets of PushMetrics; an asset event is created for each one.

    :param task: The task.
    :param partition_by: The parameter whose value is the partition key of the events; None for no key.
    :raises PushMetricsAirflowVersionError: if this Airflow has no partitions.
    :raises PushMetricsParameterError: if ``partition_by`` has nothing to apply to.
    """

    def __init__(self, task: BaseOperator, partition_by: str | None) -> None:
        self._outlets = [(outlet, uri) for outlet in task.outlets if (uri := _read_uri(outlet)) is not None]
        self._partition_by = partition_by
        if partition_by is not None:
            require_airflow("3.3", "partition_by", INSTEAD_OF_PARTITIONS)
            if not self._outlets:
                raise PushMetricsParameterError(
                    f"partition_by is {partition_by!r}, but the task has no PushMetrics asset in 'outlets':"
                    " add one, such as create_asset(report_id=1)."
                )

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self._outlets)

    def refuse_unknowable(self, settings: PushMetricsSettings) -> None:
        """
        Refuse, before anything is done, events whose facts would be unknown.

        :raises PushMetricsConfigurationError: without an API token.
        """
        if self._outlets and not settings.api_token:
            raise PushMetricsConfigurationError(
                f"the task has a PushMetrics asset in 'outlets', but connection {settings.conn_id!r} has no"
                " API token, so it would be unknown whether the run has its results. Set the password of the"
                " connection, or remove the asset from 'outlets'."
            )

    def refuse_other_report(self, report_id: object) -> None:
        """
        Refuse, before anything is done, an asset of another report.

        :param report_id: The report of the task: its number or its uid.
        :raises PushMetricsParameterError: if an outlet names another one.
        """
        mine = str(report_id).strip()
        for _, uri in self._outlets:
            if uri.report_id in (None, mine):
                continue
            if mine.isdigit() or not str(uri.report_id).isdigit():  # only the run tells the number of a uid
                raise PushMetricsParameterError(
                    f"the outlet {uri} is an asset of report {uri.report_id}, and the task is about report"
                    f" {mine}. Use create_asset(report_id={mine}) in 'outlets'."
                )

    def refuse_query_run(self) -> None:
        """
        Refuse the asset of a whole report, where the run is that of one query.

        :raises PushMetricsParameterError: if an outlet names one.
        """
        for _, uri in self._outlets:
            if uri.query_id is None:
                raise PushMetricsParameterError(
                    f"the outlet {uri} is an asset of a whole report, and the task is about a query run,"
                    " which has the result of one query. Use create_asset(report_id=…, query_id=…) in"
                    " 'outlets'."
                )

    def refuse_subset(self, facts: RunFacts, saved: Collection[str]) -> None:
        """
        Refuse the asset of a whole report, where only some of its queries are saved.

        :param saved: The numbers of the queries.
        :raises PushMetricsParameterError: if an outlet names one.
        """
        missing = [number for number in facts.queries if number not in saved]
        for _, uri in self._outlets:
            if uri.query_id is None and missing:
                raise PushMetricsParameterError(
                    f"the outlet {uri} is an asset of a whole report, and the task does not save the queries"
                    f" {_join(missing)}. Save all queries, or use create_asset(report_id=…, query_id=…) in"
                    " 'outlets'."
                )

    def refuse_missing_partition(self, parameters: Mapping[str, Any] | None) -> None:
        """
        Refuse parameters without a value for ``partition_by``.

        :raises PushMetricsParameterError: if there is none.
        """
        if self._partition_by is not None:
            self._read_partition(parameters)

    def emit(self, context: Context, facts: RunFacts) -> None:
        """
        Write the facts into the asset events, which Airflow creates when the task succeeds.

        :raises PushMetricsParameterError: if an outlet names a report or a query that the run does not have.
        """
        extras = [(outlet, self._build_extra(uri, facts)) for outlet, uri in self._outlets]
        key = None if self._partition_by is None else self._read_partition(facts.parameters)
        for outlet, extra in extras:
            event: Any = context["outlet_events"][outlet]
            event.extra.update(extra)
            if key is not None:
                event.add_partitions(key)

    def check(self, facts: RunFacts) -> None:
        """
        Check that every outlet has a result.

        :raises PushMetricsParameterError: if an outlet names a report or a query that the run does not have.
        """
        for _, uri in self._outlets:
            self._build_extra(uri, facts)

    def _build_extra(self, uri: ReportUri, facts: RunFacts) -> dict[str, Any]:
        if uri.report_id is not None and uri.report_id not in facts.report_ids:
            raise PushMetricsParameterError(
                f"the outlet {uri} is an asset of report {uri.report_id}, and run {facts.run_id} is of report"
                f" {_join(facts.report_ids)}. No asset event is created."
            )
        if facts.is_query_run:
            self.refuse_query_run()
        parameters = None if facts.parameters is None else redact_secrets(dict(facts.parameters))
        common = {
            "report_id": min(facts.report_ids, key=lambda name: not name.isdigit()),
            "query_run_id" if facts.is_query_run else "run_id": facts.run_id,
            "status": facts.status,
            "parameters": parameters,
        }
        if uri.query_id is None:
            queries = list(facts.queries.values())
            whole = {
                "result_url": facts.result_url and redact(facts.result_url),
                "is_truncated": _any([query["is_truncated"] for query in queries]),
                "queries": queries,
            }
            return dict(make_storable(common | whole))
        if uri.query_id not in facts.queries:
            raise PushMetricsParameterError(
                f"the outlet {uri} is an asset of query {uri.query_id}, and run {facts.run_id} has results of"
                f" the queries {_join(facts.queries) or '(none)'}. No asset event is created."
            )
        return dict(make_storable(common | dict(facts.queries[uri.query_id])))

    def _read_partition(self, parameters: Mapping[str, Any] | None) -> str:
        value = (parameters or {}).get(str(self._partition_by))
        if not isinstance(value, str | int | float) or isinstance(value, bool) or not str(value).strip():
            names = "unknown" if parameters is None else _join(parameters) or "none"
            raise PushMetricsParameterError(
                f"partition_by is {self._partition_by!r}, and the run has no text or number in that"
                f" parameter: its parameters are {names}. Set the parameter, or leave 'partition_by' out."
            )
        self._check_key(key := str(value).strip())
        return key

    def _check_key(self, key: str) -> None:
        named = {str(self._partition_by): key}
        if len(key) > MAX_PARTITION_KEY_LENGTH:
            raise PushMetricsParameterError(
                f"partition_by is {self._partition_by!r}, and the value of that parameter has {len(key)}"
                f" characters, and a partition key at most {MAX_PARTITION_KEY_LENGTH}. Use a parameter with"
                " shorter values, or leave 'partition_by' out."
            )
        if redact_secrets(dict(named)) != named:
            raise PushMetricsParameterError(
                f"partition_by is {self._partition_by!r}, and Airflow masks the value of that parameter: a"
                " partition key is visible to everybody. Use another parameter, or leave 'partition_by' out."
            )


def describe_query(query: QueryOutcome, **more: Any) -> dict[str, Any]:
    """
    Describe the result of a query.

    :param more: Further facts, such as the file that has it.
    """
    return {
        "query_id": query.query_id,
        "query_name": query.query_name,
        "row_count": query.row_count,
        "is_truncated": query.is_truncated,
        "row_limit": query.row_limit,
        "result_url": redact(query.query_result),
        **more,
    }


def describe_outcome(
    outcome: RunOutcome, report_id: object, parameters: Mapping[str, Any] | None
) -> RunFacts:
    """
    Describe a run that has ended.

    :param report_id: The report as the task names it.
    :raises PushMetricsRunError: if the run is not known to have succeeded.
    """
    refuse_failure(outcome)
    if outcome.status is None:
        raise _build_unknown(f"run {outcome.run_id}", outcome.explain_unknown(), outcome.run_id)
    number = outcome.outputs.report_id if outcome.outputs else None
    names = {str(name).strip() for name in (report_id, outcome.report_id, number) if name is not None}
    queries = {str(query.query_id): describe_query(query) for query in outcome.queries if _has_result(query)}
    return RunFacts(
        frozenset(names), outcome.run_id, outcome.status.value, outcome.outputs_url, queries, parameters
    )


def fetch_event_facts(credentials: Credentials, body: Mapping[str, Any]) -> Call[RunFacts]:
    """
    Fetch the facts of the run that an event describes.

    :raises PushMetricsRunError: if the run is not known to have succeeded.
    """
    event = parse_event(dict(body))
    if isinstance(event, ReportRun):
        finished = FinishedRun(str(event.report_id), event.run_id, event.report_notebook_outputs)
        return (yield from fetch_run_facts(credentials, finished))
    assert isinstance(event, QueryRun)
    query = QueryOutcome(
        query_id=event.query_id, query_name=event.query_name, query_result=event.query_result
    )
    return (yield from fetch_query_facts(credentials, query, str(event.report_id), event.run_id))


def fetch_run_facts(credentials: Credentials, finished: FinishedRun) -> Call[RunFacts]:
    """
    Fetch the facts of a report run.

    :raises PushMetricsRunError: if the run is not known to have succeeded.
    """
    outcome = yield from fetch_outcome(finished, credentials)
    parameters = yield from fetch_parameters(credentials, finished.run_id)
    return describe_outcome(outcome, finished.report_id, parameters)


def fetch_query_facts(
    credentials: Credentials, query: QueryOutcome, report_id: str, run_id: int | None
) -> Call[RunFacts]:
    """
    Fetch the facts of a query run.

    :raises PushMetricsRunError: if the query is not known to have a result.
    """
    known = yield from fetch_query_outcome(credentials, query.query_result, run_id)
    if known.failure:
        raise PushMetricsRunFailed(known.failure, run_id=run_id)
    if known.unknown:
        raise _build_unknown(f"query run {run_id}", known.unknown, run_id)
    queries = {str(query.query_id): describe_query(query)}
    status = RunStatus.SUCCESS.value
    return RunFacts(frozenset([report_id]), run_id, status, queries=queries, is_query_run=True)


def fetch_parameters(credentials: Credentials, run_id: int | None) -> Call[Mapping[str, Any] | None]:
    """Fetch the parameters of a report run; None if PushMetrics does not return them."""
    if run_id is None:
        return None
    run = yield from calls.fetch_run(credentials, run_id)
    return read_parameters(run)


def read_parameters(run: Run) -> Mapping[str, Any] | None:
    """Read the parameters of a run, if PushMetrics returns them."""
    parameters = (run.model_extra or {}).get("parameters")
    return parameters if isinstance(parameters, Mapping) else None


def _build_unknown(name: str, reason: str | None, run_id: int | None) -> PushMetricsRunError:
    """Build an error after which Airflow tries again: the outcome may be known later."""
    return PushMetricsRunError(
        f"{name} is not known to have succeeded ({reason}), and the task has a PushMetrics asset in"
        " 'outlets', whose event would be wrong if it failed. No asset event is created. Try again later, or"
        " remove the asset from 'outlets' if PushMetrics never says how a run ended.",
        run_id=run_id,
    )


def _has_result(query: QueryOutcome) -> bool:
    return query.status is None or RunStatus.parse(query.status) is RunStatus.SUCCESS


def _read_uri(outlet: object) -> ReportUri | None:
    """Read the URI of an asset or of a reference to one; None if it is not of PushMetrics."""
    uri = getattr(outlet, "uri", None)
    return parse_uri(uri) if isinstance(uri, str) and uri.startswith(f"{SCHEME}://") else None


def _any(values: Sequence[bool | None]) -> bool | None:
    """Return whether one is true; None if none is and one is unknown."""
    if any(values):
        return True
    return None if None in values else False


def _join(names: Any) -> str:
    return ", ".join(sorted(map(str, names)))
