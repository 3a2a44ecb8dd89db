"""Triggers, run as Airflow's triggerer does: rebuilt from their serialized form, until their one event."""

from __future__ import annotations

import importlib
import json
from typing import Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_pushmetrics.client.retry_policy import ONE_ATTEMPT
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.triggers.hub.limits import HubLimits
from airflow_provider_pushmetrics.triggers.hub.wait_hub import find_hub
from tests.fakes.supervisor import FakeTaskInstance


async def fire_event(trigger: Any, ti: FakeTaskInstance | None = None) -> TriggerEvent:
    """Rebuild a trigger, and take its only event; ``dag.test()`` gives it no task instance."""
    path, arguments = trigger.serialize()
    module, _, name = path.rpartition(".")
    rebuilt = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(arguments)))
    if ti is not None:
        rebuilt.task_instance = ti
    events: list[TriggerEvent] = [event async for event in rebuilt.run()]
    assert len(events) == 1
    return events[0]


async def fire(trigger: Any, ti: FakeTaskInstance | None = None) -> Any:
    """Take the payload of the only event of a trigger, as Airflow stores it."""
    return json.loads(json.dumps((await fire_event(trigger, ti)).payload))


async def fire_impatiently(trigger: Any) -> Any:
    """Take the payload of the only event of a trigger whose first failed poll ends its wait."""
    be_impatient()
    return await fire(trigger)


def be_impatient() -> None:
    """Let the first failed poll end the waits of this loop on the default connection."""
    find_hub(PushMetricsHook().settings, HubLimits(failures=ONE_ATTEMPT))
