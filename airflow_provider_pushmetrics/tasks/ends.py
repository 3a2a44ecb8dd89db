"""Ending a deferred task in the triggerer: conditions and implementation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent

from airflow_provider_pushmetrics.client.models import RunStatus
from airflow_provider_pushmetrics.compat import (
    BaseOperator,
    fetch_task_state,
    has_airflow,
    has_listeners,
    store_xcoms,
)
from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.storable import make_storable

RETURN_KEY = "return_value"
LISTENER_REASON = "a listener, such as OpenLineage's, is notified of ends on a worker only"


def refuse_outlets(task: BaseOperator) -> None:
    """
    Refuse to end a task in the triggerer that updates assets.

    :raises PushMetricsParameterError: if it has outlets: only a worker creates their asset events.
    """
    if task.outlets:
        raise PushMetricsParameterError(
            "end_from_trigger=True cannot be combined with 'outlets': Airflow creates asset events only when"
            " a worker ends the task. Leave end_from_trigger out."
        )


def is_ended_by_triggerer(
    task: BaseOperator, base: type[BaseOperator], *, choice: bool | None, is_in_loop: bool
) -> bool:
    """
    Return whether the triggerer may end a task that defers now, and log why not.

    :param base: The class of the provider.
    :param choice: The parameter ``end_from_trigger``; None to end it there on Airflow 3.3 if nothing is lost.
    :param is_in_loop: Whether the task instance is an iteration of a Task Loop.
    """
    if choice is False or (choice is None and not has_airflow("3.3")):
        return False
    reason = find_reason_for_worker(task, is_in_loop=is_in_loop)
    if reason is None and has_listeners():
        reason = LISTENER_REASON
    if reason is None and choice is None:
        reason = find_own_code(task, base)
    if reason is not None:
        task.log.info("A worker ends this task, not the triggerer: %s", reason)
    return reason is None


def find_reason_for_worker(task: BaseOperator, *, is_in_loop: bool) -> str | None:
    """
    Find what would be lost if a task ended in the triggerer instead of on a worker; None if nothing.

    According to the code of Airflow 3.3.2, ``handle_event_submit`` only sets the state of the task and
    requests its callbacks, of which the Dag processor runs those of failures only. Listeners are not
    considered: they may differ between processes.

    :param is_in_loop: Whether the task instance is an iteration of a Task Loop.
    """
    reasons = {
        "its outlets get asset events from a worker only": bool(task.outlets),
        "it has a consumer, which claims the event on a worker": bool(getattr(task, "consumer", None)),
        "Airflow runs its on_success_callback on a worker only": _has_lost_callback(task),
        "it is in a Task Loop, whose XComs a trigger cannot write": is_in_loop,
        "it does not push its result": not task.do_xcom_push,
        "it pushes each part of its result": bool(task.multiple_outputs),
        "its result is that of the Dag": bool(getattr(task, "returns_dag_result", False)),
        "another task is mapped over its result": _is_mapped_over(task),
    }
    return next((reason for reason, applies in reasons.items() if applies), None)


def find_own_code(task: BaseOperator, base: type[BaseOperator]) -> str | None:
    """
    Find code of the user that a worker would run at the task's end; None if there is none.

    :param base: The class of the provider.
    """
    for name in ("execute_complete", "post_execute"):
        if getattr(type(task), name) is not getattr(base, name):
            return f"its class overrides {name}()"
    if getattr(task, "_post_execute_hook", None) is not None:
        return "it has a post_execute"
    return None


@dataclass(frozen=True)
class TaskEnd:
    """
    What a task leaves that ends in the triggerer.

    :param message: The last line of its log; None for none.
    :param status: The status of its run, to be counted; None if a worker does not count it either.
    """

    xcoms: Mapping[str, Any]
    message: str | None = None
    status: RunStatus | None = None


async def end_task(trigger: BaseTrigger, xcoms: Mapping[str, Any]) -> TaskSuccessEvent | None:
    """
    Write a task's XComs as a worker does, and build the event that ends the task.

    XComs in the event itself are encoded twice since Airflow 3.0: the next task would receive text.

    :return: None, and nothing is written, if the task is not deferred any longer. Airflow ignores the event
        of a triggerer that was frozen while another one ended the task, but not its XComs: after the task
        was cleared, they would replace those of the next run.
    """
    if has_airflow("3.0") and (state := await fetch_task_state(trigger.task_instance)) != "deferred":
        trigger.log.warning("The task is %s, not deferred: this trigger ends nothing", state)
        return None
    left = await store_xcoms(trigger.task_instance, make_storable(xcoms))
    return TaskSuccessEvent(xcoms=left) if left else TaskSuccessEvent()


def _has_lost_callback(task: BaseOperator) -> bool:
    """
    Return whether the task has a success callback that nothing would run.

    If a trigger ends a task, Airflow requests its callbacks from the Dag processor, which runs only those of
    failures (``_execute_task_callbacks`` in ``airflow/dag_processing/processor.py`` of Airflow 3.0 to 3.4).
    """
    return has_airflow("3.0") and bool(task.on_success_callback)


def _is_mapped_over(task: BaseOperator) -> bool:
    return task.has_dag() and next(iter(task.iter_mapped_dependants()), None) is not None
