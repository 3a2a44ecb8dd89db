"""
The differences between the supported versions of Airflow, 2.11 to 3.4.

No other module catches an ImportError for them. What an old version lacks is None here, or a substitute,
or is refused by ``require_airflow`` with the required version.

``airflow.providers.common.compat.sdk`` finds what Airflow has moved, as ``PLACES`` does. It is only used for
the types: the constraint files of Airflow 2.11.0 and 3.0 have a version of that provider without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from airflow import __version__ as airflow_version
from airflow.triggers.base import BaseTrigger
from asgiref.sync import sync_to_async

from airflow_provider_pushmetrics.exceptions import PushMetricsAirflowVersionError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import (
        AirflowException,
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSensorTimeout,
        AirflowSkipException,
        Asset,
        BaseOperator,
        BaseOperatorLink,
        BaseSensorOperator,
        Connection,
        ObjectStoragePath,
        PokeReturnValue,
        Stats,
        Variable,
        XCom,
        conf,
        mask_secret,
    )
    from pydantic import JsonValue

__all__ = [
    "HAS_XCOM_BACKEND",
    "LINK_PREFIX",
    "AirflowException",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowRuntimeError",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "Asset",
    "AssetWatcher",
    "BaseEventTrigger",
    "BaseOperator",
    "BaseOperatorLink",
    "BaseSensorOperator",
    "ObjectStoragePath",
    "PokeReturnValue",
    "RetryDecision",
    "RetryPolicy",
    "SharedStreamProducer",
    "Stats",
    "Variable",
    "XCom",
    "amask_secret",
    "conf",
    "fetch_task_state",
    "get_async_connection",
    "get_listener_manager",
    "has_airflow",
    "has_listeners",
    "list_asset_stores",
    "mask_secret",
    "read_link",
    "read_variable",
    "redact_secrets",
    "require_airflow",
    "run_in_thread",
    "store_link",
    "store_xcoms",
]

P = ParamSpec("P")
T = TypeVar("T")


async def run_in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """
    Call a function that may call Airflow's supervisor, in a thread.

    In a triggerer before 3.3.2 the thread must know its event loop, as the threads of ``asgiref``
    do: a call to the supervisor from ``asyncio.to_thread`` ends the triggerer (seen on 3.0.6).
    """
    return await sync_to_async(function)(*args, **kwargs)


def read_version(text: str) -> tuple[int, int]:
    """Parse major and minor version: 3.2 of 3.2.1rc1."""
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


def has_airflow(since: str, *, version: str = airflow_version) -> bool:
    """Return whether this Airflow has a version or a later one, such as ``3.1``."""
    return read_version(version) >= read_version(since)


_EXCEPTIONS = ("airflow.sdk.exceptions", "airflow.exceptions")

PLACES: Mapping[str, tuple[str, ...]] = {
    "AirflowException": _EXCEPTIONS,
    "AirflowFailException": _EXCEPTIONS,
    "AirflowNotFoundException": _EXCEPTIONS,
    "AirflowSensorTimeout": _EXCEPTIONS,
    "AirflowSkipException": _EXCEPTIONS,
    "Asset": ("airflow.sdk",),
    "BaseHook": ("airflow.sdk", "airflow.hooks.base"),
    "BaseOperator": ("airflow.sdk",),
    "BaseOperatorLink": ("airflow.sdk",),
    "BaseSensorOperator": ("airflow.sdk",),
    "ObjectStoragePath": ("airflow.sdk",),
    "PokeReturnValue": ("airflow.sdk",),
    "Stats": ("airflow.sdk.observability.stats", "airflow.stats"),
    "Variable": ("airflow.sdk",),
    "XCom": ("airflow.sdk.execution_time.xcom",),
    "conf": ("airflow.sdk.configuration", "airflow.configuration"),
    "mask_secret": ("airflow.sdk.log", "airflow.sdk.execution_time.secrets_masker"),
}
"""The modules of Airflow 3 that may have a name, the newest first."""

PLACES_BEFORE_3: Mapping[str, str] = {
    **dict.fromkeys([name for name in PLACES if PLACES[name] is _EXCEPTIONS], "airflow.exceptions"),
    "Asset": "airflow.datasets:Dataset",
    "BaseHook": "airflow.hooks.base",
    "BaseOperator": "airflow.models.baseoperator",
    "BaseOperatorLink": "airflow.models.baseoperatorlink",
    "BaseSensorOperator": "airflow.sensors.base",
    "ObjectStoragePath": "airflow.io.path",
    "PokeReturnValue": "airflow.sensors.base",
    "Stats": "airflow.stats",
    "Variable": "airflow.models.variable",
    "XCom": "airflow.models.xcom",
    "conf": "airflow.configuration",
    "mask_secret": "airflow.utils.log.secrets_masker",
}
"""The module of Airflow 2.11 that has a name, and the name there if it is another one."""


def find_name(name: str) -> Any:
    """
    Find a name of ``PLACES`` where this Airflow has it.

    :raises ImportError: if it is in none of these modules.
    """
    for place in PLACES[name] if has_airflow("3.0") else (PLACES_BEFORE_3[name],):
        module, _, other = place.partition(":")
        try:
            return getattr(import_module(module), other or name)
        except (ModuleNotFoundError, AttributeError):
            continue
    raise ImportError(f"Airflow {airflow_version} has {name!r} in none of its known places")


if not TYPE_CHECKING:
    XCom, Variable, mask_secret = (find_name(name) for name in ("XCom", "Variable", "mask_secret"))

    def __getattr__(name: str) -> Any:  # what is not needed is not imported: some of it takes long
        if name not in PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = find_name(name)
        return found


async def get_async_connection(conn_id: str) -> Connection:
    """Get a connection without blocking the event loop."""
    hook = find_name("BaseHook")
    if hasattr(hook, "aget_connection"):  # from Airflow 3.1 on
        connection: Connection = await hook.aget_connection(conn_id=conn_id)
        return connection
    return await run_in_thread(hook.get_connection, conn_id=conn_id)


def require_airflow(since: str, feature: str, instead: str, *, version: str = airflow_version) -> None:
    """
    Refuse a feature that this Airflow does not support.

    :param since: The first version that supports it, such as ``3.1``.
    :param feature: The feature.
    :param instead: The alternative.
    :raises PushMetricsAirflowVersionError: if this Airflow is older.
    """
    if not has_airflow(since, version=version):
        raise PushMetricsAirflowVersionError(
            f"{feature} needs Airflow {since} or later, and this is Airflow {version}. {instead}"
        )


async def fetch_task_state(ti: Any) -> str | None:
    """
    Fetch the state of a trigger's task instance (Airflow 3.0 and later); None if it has none, or is gone.

    :raises Exception: what Airflow raises if the state cannot be read.
    """
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    found = await run_in_thread(
        RuntimeTaskInstance.get_task_states,
        dag_id=ti.dag_id,
        map_index=ti.map_index,
        task_ids=[ti.task_id],
        run_ids=[ti.run_id],
    )
    name = ti.task_id if ti.map_index < 0 else f"{ti.task_id}_{ti.map_index}"
    state: str | None = found.get(ti.run_id, {}).get(name)
    return state


async def store_xcoms(ti: Any, xcoms: Mapping[str, Any]) -> dict[str, Any]:
    """
    Store XComs of a task instance from the triggerer; return those that an event must carry.

    On Airflow 2 these are all, because a trigger has no other way. In a thread, because a custom backend
    may write files; ``XCom.aset`` of Airflow 3.3 would write them in the event loop.
    """
    if not has_airflow("3.0"):
        return dict(xcoms)
    for key, value in xcoms.items():
        is_raw = key.startswith(LINK_PREFIX) and HAS_XCOM_BACKEND
        write = XCom._set_xcom_in_db if is_raw else XCom.set
        await run_in_thread(partial(write, key=key, value=value, **_identify(ti)))
    return {}


def store_link(ti: Any, key: str, url: str) -> None:
    """
    Store a link of a running task, without a custom XCom backend on Airflow 3.

    Airflow's interface reads links without the backend too, and shows what the backend has made of them. It
    stores them again in that way when a worker ends the task, but not when a trigger does.
    """
    if HAS_XCOM_BACKEND:
        XCom._set_xcom_in_db(key=key, value=url, **_identify(ti))
    else:
        ti.xcom_push(key=key, value=url)


def read_link(key: str, ti_key: Any) -> str:
    """Read a link that ``store_link`` has stored; empty if there is none."""
    if HAS_XCOM_BACKEND:
        return XCom._get_xcom_db_ref(key=key, **_identify(ti_key)).value or ""
    return XCom.get_value(key=key, ti_key=ti_key) or ""


def _identify(ti: Any) -> dict[str, Any]:
    return {"dag_id": ti.dag_id, "task_id": ti.task_id, "run_id": ti.run_id, "map_index": ti.map_index}


def list_asset_stores(stores: Any) -> list[Any]:
    """
    List the stores of the assets of a watcher, each with ``get`` and ``set`` (Airflow 3.3 and later).

    Airflow has no other access without the names of the assets, which a trigger does not know.
    """
    return [*stores._by_name.values(), *stores._by_uri.values()]


def read_variable(key: str) -> str | None:
    """
    Read a variable of Airflow; None only if there is none.

    From Airflow 3.1 on, ``Variable.get`` takes every failure for a missing variable (``_get_variable`` in
    ``airflow/sdk/execution_time/context.py``).

    :raises Exception: what Airflow raises if the variable cannot be read.
    """
    if not has_airflow("3.1"):
        text: str | None = Variable.get(key, None)
        return text
    from airflow.sdk.exceptions import ErrorType
    from airflow.sdk.execution_time import comms, task_runner

    answer: Any = task_runner.SUPERVISOR_COMMS.send(comms.GetVariable(key=key))
    if isinstance(answer, comms.VariableResult):
        return answer.value
    if answer.error == ErrorType.VARIABLE_NOT_FOUND:
        return None
    raise AirflowRuntimeError(answer)


def redact_secrets(value: Any) -> Any:
    """Replace what Airflow masks in logs: known secrets, and the values of names such as password."""
    return _redact(value, max_depth=50)


try:
    from airflow.sdk._shared.secrets_masker import redact as _redact
except ImportError:  # before Airflow 3.1
    try:
        from airflow.sdk.execution_time.secrets_masker import redact as _redact  # type: ignore[no-redef, unused-ignore]
    except ImportError:  # before Airflow 3.0
        from airflow.utils.log.secrets_masker import (  # type: ignore[import-not-found, no-redef, unused-ignore]
            redact as _redact,
        )

try:
    from airflow.sdk.bases.xcom import BaseXCom
except ImportError:  # before Airflow 3.0, which reads links by their backend too
    BaseXCom = XCom  # type: ignore[misc, unused-ignore]

LINK_PREFIX = "_link_"
"""How the keys of the XComs begin in which Airflow 3 searches links."""

HAS_XCOM_BACKEND = XCom is not BaseXCom
"""Whether a custom XCom backend of Airflow 3 is configured."""

try:
    from airflow.sdk.exceptions import AirflowRuntimeError
except ImportError:  # before Airflow 3.0
    from airflow.exceptions import (  # type: ignore[assignment, attr-defined, no-redef, unused-ignore]
        AirflowException as AirflowRuntimeError,
    )

try:
    from airflow.sdk.listener import get_listener_manager
except ImportError:  # before Airflow 3.2
    from airflow.listeners.listener import get_listener_manager  # type: ignore[no-redef, assignment, unused-ignore]


def has_listeners() -> bool:
    """Return whether a plugin or a provider listens to the states of tasks."""
    return bool(get_listener_manager().has_listeners)


try:
    from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
except ImportError:  # before Airflow 3.3
    RetryDecision = None  # type: ignore[misc, assignment]
    RetryPolicy = object  # type: ignore[misc, assignment]

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
