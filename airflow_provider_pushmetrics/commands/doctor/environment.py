"""What is installed here, and whether this environment can import the event filters."""

from __future__ import annotations

import platform
import socket
import sys
from collections.abc import Collection, Iterable, Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from airflow_provider_pushmetrics import __version__
from airflow_provider_pushmetrics.hooks.connection_check import Finding, Status

PACKAGE_NAME = "airflow-provider-pushmetrics"
OLDEST, NEWEST = "2.11", "3.4"
INSTALLED = frozenset({"site-packages", "dist-packages"})
INTERNAL_EXTRAS = ("demo", "dev", "matrix", "test")

OTHER_ENVIRONMENTS = (
    "This looked at one environment. Run it in the worker's and the triggerer's too, for example: docker"
    " compose exec airflow-triggerer pushmetrics doctor"
)


def describe_environment() -> str:
    """Describe where this process runs."""
    return f"{socket.gethostname()}, {sys.executable}"


def check_versions() -> list[Finding]:
    """Check the versions of Airflow, of this package and of Python, and which extras are complete."""
    airflow = metadata.version("apache-airflow")
    text = f"Airflow {airflow}, {PACKAGE_NAME} {__version__}, Python {platform.python_version()}"
    is_known = _read(OLDEST) <= _read(airflow) <= _read(NEWEST)
    complete = [name for name in list_extras() if not list_missing(name)]
    extras = Finding("extras", Status.OK, ", ".join(complete) or "none")
    if is_known:
        return [Finding("versions", Status.OK, text), extras]
    way_out = f"Airflow {OLDEST} to {NEWEST} are supported."
    return [Finding("versions", Status.WARNING, f"{text}: not tested together", way_out), extras]


def list_extras() -> list[str]:
    """List the extras of this package that are for users."""
    names = metadata.metadata(PACKAGE_NAME).get_all("Provides-Extra") or []
    return sorted(set(names) - set(INTERNAL_EXTRAS))


def list_missing(extra: str) -> list[str]:
    """List what an extra needs and is not installed, or too old."""
    missing = []
    for text in metadata.requires(PACKAGE_NAME) or []:
        needed = Requirement(text)
        if needed.marker is None or not needed.marker.evaluate({"extra": extra}):
            continue
        try:
            version = metadata.version(canonicalize_name(needed.name))
        except metadata.PackageNotFoundError:
            missing.append(needed.name)
            continue
        if not needed.specifier.contains(version, prereleases=True):
            missing.append(needed.name)
    return missing


def check_event_filters(paths: Iterable[str], dags_folders: Collection[Path]) -> Iterator[Finding]:
    """
    Import each event filter, as the worker and the triggerer do.

    :param dags_folders: The folders of Dags, from which the triggerer may not import.
    """
    from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
    from airflow_provider_pushmetrics.triggers.event_filters import load_predicate

    for path in sorted({path.strip() for path in paths}):
        try:
            load_predicate(path)
        except PushMetricsParameterError as error:
            yield Finding("event filter", Status.FAILED, str(error), "Install its package here.")
            continue
        # Not the module that the function says: this one may import it from another.
        file = getattr(sys.modules.get(path.rpartition(".")[0]), "__file__", None)
        if file is not None and any(_is_in_folder(Path(file), folder) for folder in dags_folders):
            yield Finding(
                "event filter",
                Status.WARNING,
                f"{path} is in the Dags folder, which the triggerer may not import from",
                "Install its package in the worker's and in the triggerer's environment.",
            )
        else:
            yield Finding("event filter", Status.OK, f"{path} can be imported here")


def _is_in_folder(file: Path, folder: Path) -> bool:
    """Return whether a module is in a folder, and not in an environment of Python that is in there."""
    for found in (file, file.resolve()):
        if folder in found.parents:
            return not INSTALLED.intersection(found.relative_to(folder).parts)
    return False


def _read(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)
