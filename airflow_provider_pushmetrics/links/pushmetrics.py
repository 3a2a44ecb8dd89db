"""Links from a task in Airflow's interface to PushMetrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context, TaskInstanceKey

RUN_LINK_KEY = "pushmetrics_run_link"


class PushMetricsRunLink(BaseOperatorLink):
    """A link to the outputs of the run that a task started or found. The URL holds no token."""

    name = "PushMetrics run"

    @staticmethod
    def persist(context: Context, url: str) -> None:
        """Store the link as soon as the run exists, so that it is there while the run goes on."""
        context["ti"].xcom_push(key=RUN_LINK_KEY, value=url)

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Get the stored link; empty before there is a run."""
        return XCom.get_value(key=RUN_LINK_KEY, ti_key=ti_key) or ""
