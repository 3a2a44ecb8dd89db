"""
What differs between the versions of Airflow that are supported, 2.11 to 3.3, and no provider of its smooths.

Nothing else tries an import. What an old version does not have is None here, or something of ours in its
place, or is refused by ``require_airflow`` with the version that has it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from airflow import __version__ as airflow_version
from airflow.providers.common.compat.sdk import mask_secret
from airflow.triggers.base import BaseTrigger
from asgiref.sync import sync_to_async

from airflow_provider_pushmetrics.exceptions import PushMetricsAirflowVersionError

if TYPE_CHECKING:
    from pydantic import JsonValue

__all__ = [
    "AssetWatcher",
    "BaseEventTrigger",
    "SharedStreamProducer",
    "amask_secret",
    "mask_secret",
    "require_airflow",
    "run_in_thread",
]

P = ParamSpec("P")
T = TypeVar("T")


async def run_in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """
    Call what may ask Airflow's supervisor, in a thread.

    In a triggerer before 3.3.2 the thread must know to which event loop it belongs, as those of ``asgiref``
    do: a question to the supervisor from one of ``asyncio.to_thread`` ends the triggerer (seen on 3.0.6).
    """
    return await sync_to_async(function)(*args, **kwargs)


def read_version(text: str) -> tuple[int, int]:
    """Read the part of a version that says what there is: 3.2 of 3.2.1rc1."""
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


def require_airflow(since: str, feature: str, instead: str, *, version: str = airflow_version) -> None:
    """
    Refuse what this Airflow is too old for.

    :param since: The first version that has it, such as ``3.1``.
    :param feature: What needs it.
    :param instead: The way out.
    :raises PushMetricsAirflowVersionError: if this Airflow is older.
    """
    if read_version(version) < read_version(since):
        raise PushMetricsAirflowVersionError(
            f"{feature} needs Airflow {since} or later, and this is Airflow {version}. {instead}"
        )


try:
    from airflow.sdk import AssetWatcher
except ImportError:  # before Airflow 3.0
    AssetWatcher = None  # type: ignore[misc, assignment]

try:
    from airflow.triggers.base import BaseEventTrigger
except ImportError:  # before Airflow 3.0, which has no asset watchers
    BaseEventTrigger = BaseTrigger  # type: ignore[misc, assignment]

try:
    from airflow.triggers.shared_stream import SharedStreamProducer
except ImportError:  # before Airflow 3.3
    SharedStreamProducer = object  # type: ignore[misc, assignment]

try:
    from airflow.sdk.log import amask_secret
except ImportError:  # before Airflow 3.3.2

    async def amask_secret(secret: JsonValue, name: str | None = None) -> None:
        """Mask a secret without blocking the event loop."""
        await run_in_thread(mask_secret, secret, name)
