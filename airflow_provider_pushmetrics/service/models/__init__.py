"""
The tables.

A *report* has *blocks*; a SQL block is also a *query*. A *run* executes a whole report, a *query run* a
single query; they have separate ids. The outcome of each block is a *block result*. An *event* is written in
the transaction of its change, with one *delivery* for each matching subscription.
"""

from __future__ import annotations

from airflow_provider_pushmetrics.service.models.accounts import (
    ApiToken,
    EndedSession,
    Membership,
    User,
    Workspace,
)
from airflow_provider_pushmetrics.service.models.base import Base
from airflow_provider_pushmetrics.service.models.deliveries import (
    Delivery,
    DeliveryAttempt,
    OutboxEvent,
    RetiredSecret,
    Subscription,
)
from airflow_provider_pushmetrics.service.models.installations import Installation
from airflow_provider_pushmetrics.service.models.messages import OutgoingMessage
from airflow_provider_pushmetrics.service.models.reports import (
    Block,
    DataSource,
    Query,
    Report,
    ReportSchedule,
    ReportTrigger,
)
from airflow_provider_pushmetrics.service.models.row_counts import DeletedRows, RowCount
from airflow_provider_pushmetrics.service.models.runs import (
    AnyRun,
    BlockResult,
    DeletedFolder,
    Run,
    RunLogEntry,
    StandaloneQueryRun,
)
from airflow_provider_pushmetrics.service.models.workers import Worker, WorkSignal

# fmt: off
__all__ = [
    "AnyRun", "ApiToken", "Base", "Block", "BlockResult", "DataSource", "DeletedFolder", "DeletedRows",
    "Delivery", "DeliveryAttempt", "EndedSession", "Installation", "Membership", "OutboxEvent",
    "OutgoingMessage", "Query", "Report", "ReportSchedule", "ReportTrigger", "RetiredSecret", "RowCount",
    "Run", "RunLogEntry", "StandaloneQueryRun", "Subscription", "User", "WorkSignal", "Worker", "Workspace",
]
# fmt: on
