"""The PushMetrics run that a task instance keeps in Airflow's own tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow.models.dagbag import DBDagBag
from airflow.models.dagrun import DagRun
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.links.pushmetrics import PushMetricsRunLink

CONNECTION_FIELD = "pushmetrics_conn_id"
FINAL_STATES = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


@dataclass(frozen=True)
class TaskKey:
    """A task instance; ``map_index`` is -1 if the task is not mapped."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int


@dataclass(frozen=True)
class KeptRun:
    """
    What a task instance keeps of its latest try.

    :param state: The state of the task instance; None before it is scheduled.
    :param conn_id: The connection of the task; None if it has none.
    :param report_id: The report that the task names; None if it names none.
    :param run_url: The link to its run; None if it has stored none. Its query may have a token.
    """

    state: str | None
    try_number: int
    conn_id: str | None
    report_id: str | None
    run_url: str | None = field(repr=False)

    @property
    def is_final(self) -> bool:
        """Whether Airflow does not continue the task by itself."""
        return self.state in FINAL_STATES


def find_kept_run(session: Session, key: TaskKey) -> KeptRun | None:
    """
    Find what a task instance keeps; None if there is no such task instance.

    :raises PushMetricsConfigurationError: if the task instance cannot be identified.
    """
    where = {"dag_id": key.dag_id, "run_id": key.run_id, "task_id": key.task_id, "map_index": key.map_index}
    found = session.scalars(select(TaskInstance).filter_by(**where).limit(2)).all()
    if not found:
        return None
    if len(found) > 1:
        raise PushMetricsConfigurationError(
            f"task {key.task_id!r} is repeated in a Task Loop, and Airflow does not tell this tab which"
            " iteration is shown. See the log of the task for the link to its run."
        )
    (ti,) = found
    # Its own functions: Airflow 3.4 has other tables for XComs and rendered fields.
    rendered = RenderedTaskInstanceFields.get_templated_fields(ti, session=session)
    fields = _read_task(session, key) if rendered is None else rendered
    return KeptRun(
        state=None if ti.state is None else str(ti.state),
        try_number=ti.try_number,
        conn_id=_read_rendered(fields.get(CONNECTION_FIELD)),
        report_id=_read_rendered(fields.get("report_id")),
        run_url=_find_link(session, key),
    )


def _find_link(session: Session, key: TaskKey) -> str | None:
    query = XComModel.get_many(
        key=PushMetricsRunLink.build_key(),
        run_id=key.run_id,
        dag_ids=key.dag_id,
        task_ids=key.task_id,
        map_indexes=key.map_index,
    )
    row = session.scalars(query.limit(1)).first()
    value = None if row is None else XComModel.deserialize_value(row)
    return value if isinstance(value, str) and value else None


def _read_task(session: Session, key: TaskKey) -> Mapping[str, Any]:
    """Read the fields of a task that has not started, or whose rendered fields Airflow has deleted."""
    run = session.scalar(select(DagRun).filter_by(dag_id=key.dag_id, run_id=key.run_id))
    dag = None if run is None else DBDagBag().get_dag_for_run(run, session=session)
    if dag is None or not dag.has_task(key.task_id):
        return {}
    task: Any = dag.get_task(key.task_id)
    partial = getattr(task, "partial_kwargs", {})
    names = (CONNECTION_FIELD, "report_id")
    return {name: partial.get(name, getattr(task, name, None)) for name in names}


def _read_rendered(value: object) -> str | None:
    """Read a text or a number; None for a template that is not rendered."""
    text = str(value).strip() if isinstance(value, str | int) else ""
    return None if text in ("", "None") or "{{" in text else text
