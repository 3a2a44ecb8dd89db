"""The inbox's tables. Their names have a prefix, because they may share a database, for example Airflow's."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from airflow_provider_pushmetrics.serving.columns import UtcDateTime

PREFIX = "pushmetrics_inbox"
VERSION_TABLE = f"{PREFIX}_version"

BigId = BigInteger().with_variant(Integer, "sqlite")
"""SQLite uses only a column of type INTEGER as its row id."""


VALUE = "value"
"""
In the ``info`` of a column of events: the attribute of ``Recorded`` with its value.

A new column needs nothing else to be written and read.
"""

metadata = MetaData()

events = Table(
    f"{PREFIX}_events",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=False, info={VALUE: "id"}),
    Column("source", Text, nullable=False, info={VALUE: "delivery.source"}),
    Column("delivery_key", Text, nullable=False, info={VALUE: "delivery.key"}),
    Column("received_at", UtcDateTime, nullable=False),
    Column("event", Text, nullable=False, info={VALUE: "delivery.event"}),
    Column("report_id", BigInteger, info={VALUE: "delivery.report_id"}),
    Column("query_id", BigInteger, info={VALUE: "delivery.query_id"}),
    Column("run_id", BigInteger, info={VALUE: "delivery.run_id"}),
    Column("replay_of", BigInteger, info={VALUE: "delivery.replay_of"}),
    Column("traceparent", Text, info={VALUE: "delivery.traceparent"}),
    Column("body_bytes", Integer, nullable=False, info={VALUE: "delivery.body_bytes"}),
    Column("body", LargeBinary, nullable=False, info={VALUE: "delivery.body"}),
    UniqueConstraint("source", "delivery_key", name=f"uq_{PREFIX}_delivery"),
)
for _name in ("event", "report_id", "query_id", "run_id"):
    _is_set = events.c[_name].is_not(None)
    Index(
        f"ix_{PREFIX}_{_name}",
        events.c[_name],
        events.c.id,
        sqlite_where=_is_set,
        postgresql_where=_is_set,
    )
Index(f"ix_{PREFIX}_received_at", events.c.received_at)

state = Table(
    f"{PREFIX}_state",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("last_event_id", BigInteger, nullable=False),
    Column("last_deleted_id", BigInteger, nullable=False, server_default="0"),
)
"""
One row. Its lock is needed to assign ids, so ids follow the order of commits in all processes.

Ids after ``last_deleted_id`` have no gaps: none is left out, and none was deleted. A restore sets both to the
id that the next event follows.
"""

rejections = Table(
    f"{PREFIX}_rejections",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("rejected_at", UtcDateTime, nullable=False),
    Column("source", Text, nullable=False),
    Column("client", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("reason", Text, nullable=False),
)
"""The newest rejected webhooks."""

consumers = Table(
    f"{PREFIX}_consumers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("taken_by", Text),
    Column("missed", BigInteger, nullable=False, server_default="0"),
)
