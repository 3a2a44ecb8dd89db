"""Triggers, run as Airflow's triggerer does: rebuilt from their serialized form, until their one event."""

from __future__ import annotations

import importlib
import json
from typing import Any

from airflow.triggers.base import TriggerEvent


async def fire_event(trigger: Any) -> TriggerEvent:
    """Rebuild a trigger, and take the only event that it fires."""
    path, arguments = trigger.serialize()
    module, _, name = path.rpartition(".")
    rebuilt = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(arguments)))
    events: list[TriggerEvent] = [event async for event in rebuilt.run()]
    assert len(events) == 1
    return events[0]


async def fire(trigger: Any) -> Any:
    """Take the payload of the only event of a trigger, as Airflow stores it."""
    return json.loads(json.dumps((await fire_event(trigger)).payload))
