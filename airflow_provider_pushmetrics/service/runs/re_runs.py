"""Running a report again with the parameters of an earlier run."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.models import Run
from airflow_provider_pushmetrics.service.reports.choices import set_query_choices
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.runs.pending_limit import UNLIMITED, PendingLimit
from airflow_provider_pushmetrics.service.runs.submission import read_parameters
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.serving.parameter_types import Parameter, apply_parameters


def read_re_run_parameters(database: Database, results: ResultStore, run_id: int) -> list[Parameter]:
    """Read the parameters of a run's report, with the choices for the values of the run."""
    with database.reading() as session:
        run = session.get_one(Run, run_id)
        parameters = read_parameters(run.report)
    return set_query_choices(database, results, run.report_id, parameters, run.given_parameters)


def accept_re_run(
    session: Session, run: Run, parameters: Sequence[Parameter], limit: PendingLimit = UNLIMITED
) -> Run:
    """
    Record another run of a report with the parameters of an earlier run.

    :param parameters: What :func:`read_re_run_parameters` read.
    :raises ParameterValueError: if the parameters no longer accept them.
    :raises PushMetricsUnavailableError: if too many runs of the workspace wait.
    """
    limit.check(session, run.workspace_id)
    again = Run(
        workspace_id=run.workspace_id,
        report_id=run.report_id,
        origin=run.origin,
        given_parameters=run.given_parameters,
        parameters=apply_parameters(parameters, run.given_parameters),
        parent_id=run.id,
        re_run_count=run.re_run_count + 1,
        webhook_id=run.webhook_id,
        schedule_id=run.schedule_id,
        options=run.options,
    )
    session.add(again)
    session.flush()
    return again
