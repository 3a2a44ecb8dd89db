"""What each version of Airflow does with a trigger's event on its way to the database and back."""

from __future__ import annotations

import json
import traceback
from types import SimpleNamespace
from typing import Any

from airflow.providers.common.compat.sdk import XCom
from airflow.triggers.base import TriggerEvent

from tests.fakes.airflow_versions import AIRFLOW_VERSION

HAS_SUPERVISOR = AIRFLOW_VERSION >= (3, 0)
"""Airflow 2 runs its triggers in the process that writes to the database."""


def frame_event(event: TriggerEvent) -> bytes:
    """Encode an event as the triggerer sends it to its supervisor."""
    return _frame(events=[_write_entry(event)])


def frame_failure(error: BaseException) -> bytes:
    """Encode the failure of a trigger as the triggerer sends it to its supervisor."""
    return _frame(failures=[(1, traceback.format_exception(error))])


def write_next_kwargs(payload: Any) -> str:
    """Write the arguments of a resumed task as its row has them."""
    kwargs = {"event": payload}
    if AIRFLOW_VERSION >= (3, 2):
        from airflow.sdk.serde import serialize

        return json.dumps(serialize(kwargs))
    from airflow.serialization.serialized_objects import BaseSerialization

    return json.dumps(BaseSerialization.serialize(kwargs))


def read_next_kwargs(text: str) -> Any:
    """Read what the resumed task is given."""
    if AIRFLOW_VERSION >= (3, 2):
        from airflow.sdk.serde import deserialize

        kwargs: Any = deserialize(json.loads(text))
    else:
        from airflow.serialization.serialized_objects import BaseSerialization

        kwargs = BaseSerialization.deserialize(json.loads(text))
    return kwargs["event"]


def write_xcom(value: Any) -> str:
    """Write an XCom as its row has it."""
    written: Any = XCom.serialize_value(value, key="return_value")
    return written.decode("utf-8") if isinstance(written, bytes) else json.dumps(written)


def read_xcom(text: str) -> Any:
    """Read an XCom as another task gets it."""
    stored = json.loads(text) if HAS_SUPERVISOR else text.encode("utf-8")
    return XCom.deserialize_value(SimpleNamespace(value=stored))


def _frame(**changes: Any) -> bytes:
    if not HAS_SUPERVISOR:
        return b""
    from airflow.jobs.triggerer_job_runner import messages
    from airflow.sdk.execution_time.comms import _RequestFrame

    states = {"events": None, "failures": None, "finished": None} | changes
    message = messages.TriggerStateChanges(**states)
    return bytes(_RequestFrame(id=1, body=message.model_dump()).as_bytes())


def _write_entry(event: TriggerEvent) -> Any:
    if AIRFLOW_VERSION < (3, 3):
        return (1, event)
    from airflow.jobs.triggerer_job_runner import TriggerEventEntry

    return TriggerEventEntry(trigger_id=1, event=event, persist_seq=None)
