"""
The settings of the mounted receiver: section ``[pushmetrics]`` of ``airflow.cfg``, and Airflow connections.

A connection overrides the option of the same name. Connections are read again while the
receiver runs, so that a credential can be changed without a restart.
"""

from __future__ import annotations

import configparser
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_pushmetrics.exceptions import (
    MalformedConnectionError,
    PushMetricsConfigurationError,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.plugins.connections import KeptConnections
from airflow_provider_pushmetrics.plugins.source_connections import read_connections
from airflow_provider_pushmetrics.receiver.endpoints.access import Access
from airflow_provider_pushmetrics.receiver.settings import (
    MountedOptions,
    ReceiverSettings,
    SourceSettings,
    build_settings,
)
from airflow_provider_pushmetrics.receiver.sources import build_checked_source, build_first_source, parse_rows
from airflow_provider_pushmetrics.serving.logs import ThrottledLog, describe_fault
from airflow_provider_pushmetrics.serving.options import list_options, parse_options

log = logging.getLogger(__name__)

SECTION = "pushmetrics"
OPTIONS = [option.name for option in list_options(MountedOptions)]
NOT_IN_CONNECTION = ("reader_token", "receiver_connection", "source_connections")
NEED_RESTART = ("inbox", "keep_days", "listen_database_url")
OF_SOURCE = ("source", "token", "signing_secrets", "lenient_content_type")
SOURCE_FIELDS = ("networks", "rate_per_minute")
"""What only the connection says of the first source."""


def read_options() -> dict[str, str]:
    """
    Read section ``[pushmetrics]`` of Airflow's configuration.

    :raises PushMetricsConfigurationError: if a value of ``airflow.cfg`` has a single ``%``.
    :raises PushMetricsUnavailableError: if a command or a secrets backend does not give a value.
    """
    return {name: _read_option(name) for name in OPTIONS}


def is_configured(options: Mapping[str, str]) -> bool:
    """Return whether the receiver is configured: nobody could read from it without one of these."""
    return bool(options["reader_token"] or options["receiver_connection"])


@dataclass
class ReceiverConfiguration:
    """
    The configuration of the receiver.

    :param options: The options of ``[pushmetrics]``.
    :param connections: Finds Airflow's connections.
    """

    options: Mapping[str, str] = field(repr=False)
    connections: KeptConnections = field(default_factory=KeptConnections, repr=False)
    _problems: ThrottledLog = field(default_factory=lambda: ThrottledLog(log), repr=False)

    @property
    def has_connections(self) -> bool:
        """Whether a part of it is in a connection, which may change."""
        return bool(self.options["receiver_connection"] or self.options["source_connections"])

    def build_settings(self) -> ReceiverSettings:
        """
        Build the receiver's settings.

        As when the connections are read again, a source that is not valid is left out.

        :raises PushMetricsConfigurationError: if nothing is left, or what is needed beside the sources is
            missing or invalid.
        :raises Exception: any error of the secrets backend.
        """
        from airflow.configuration import AIRFLOW_HOME

        connection = self._find_connection()
        options, _ = self._read_options(connection, NEED_RESTART)
        problems: list[str] = []
        access = self._add_others(self._read_own_access(connection, problems.append), problems.append)
        inbox = options.inbox.replace("{AIRFLOW_HOME}", AIRFLOW_HOME)
        own = replace(options, inbox=inbox, reader_token=access.reader_token)
        try:
            settings = build_settings(own, access.sources)
        except PushMetricsConfigurationError as error:
            raise PushMetricsConfigurationError(" ".join([*problems, str(error)])) from None
        self._log_problems(problems)
        return settings

    def read_access(self) -> Access:
        """
        Read the connections again.

        A source that was deleted, or is no longer valid, is rejected; the others are not affected.

        :raises Exception: any error of the secrets backend.
        """
        problems: list[str] = []
        try:
            own = self._read_own_access(self._find_connection(), problems.append)
        except PushMetricsConfigurationError as error:
            problems.append(f"{error} Until then its sources and all readers are rejected.")
            own = Access((), "")
        access = self._add_others(own, problems.append)
        self._log_problems(problems)
        return access

    def _add_others(self, own: Access, report: Callable[[str], None]) -> Access:
        """Add the sources of further connections."""
        named = _parse({"source_connections": self.options["source_connections"]}).source_connections
        others = read_connections(named, report, self.connections.find)
        return replace(own, sources=tuple(_leave_out_doubles(own.sources + others, report)))

    def _read_own_access(self, connection: Any | None, report: Callable[[str], None]) -> Access:
        """Read the sources and the reader token of the receiver's own connection, or else of the options."""
        sources: list[SourceSettings] = []
        with self._reporting(report):
            options, extra = self._read_options(connection, OF_SOURCE)
            sources += _build_first(options, extra)
        with self._reporting(report):
            for row in parse_rows(connection.extra_dejson.get("sources") or "" if connection else ""):
                with self._reporting(report):
                    sources.append(build_checked_source(row))
        return Access(tuple(sources), self._find_reader_token(connection))

    @contextmanager
    def _reporting(self, report: Callable[[str], None]) -> Iterator[None]:
        """Report what is invalid in the receiver's own connection; what it was before counts no more."""
        try:
            yield
        except PushMetricsConfigurationError as error:
            where = f"the connection {self._connection_id!r}" if self._connection_id else f"[{SECTION}]"
            report(f"{where} has an invalid source: {error}")

    @property
    def _connection_id(self) -> str:
        return self.options["receiver_connection"].strip()

    def _find_connection(self) -> Any | None:
        """
        Find the receiver's own connection; None if no option names one.

        :raises PushMetricsConfigurationError: if it does not exist, or cannot be parsed or decrypted.
        """
        if not self._connection_id:
            return None
        try:
            connection = self.connections.find(self._connection_id)
        except MalformedConnectionError as error:
            raise PushMetricsConfigurationError(
                f"the connection {self._connection_id!r} of option receiver_connection is invalid: {error}"
            ) from None
        if connection is None:
            raise PushMetricsConfigurationError(
                f"the connection {self._connection_id!r} of option receiver_connection does not exist: create"
                " it, with the reader token as its password."
            )
        return connection

    def _find_reader_token(self, connection: Any | None) -> str:
        password = connection.password if connection else None
        return _parse({"reader_token": password or self.options["reader_token"]}).reader_token or ""

    def _read_options(
        self, connection: Any | None, names: Collection[str]
    ) -> tuple[MountedOptions, Mapping[str, Any]]:
        """Read some options, first those of the receiver's connection, and the extra of that."""
        extra = connection.extra_dejson if connection else {}
        said = {name: value for name, value in extra.items() if name not in NOT_IN_CONNECTION}
        kept = {name: value for name, value in {**self.options, **said}.items() if name in names}
        return _parse(kept, dict.fromkeys(said, f"of the connection {self._connection_id!r}")), extra

    def _log_problems(self, problems: Collection[str]) -> None:
        if problems:
            self._problems.error("The receiver ignores a source: %s", " ".join(problems))
        else:
            self._problems.end("All connections of the receiver are valid sources again.")


def _leave_out_doubles(
    sources: Iterable[SourceSettings], report: Callable[[str], None]
) -> Iterator[SourceSettings]:
    """Give the first source of each name."""
    names: set[str] = set()
    for source in sources:
        if source.name in names:
            report(f"a source is named {source.name!r}, as one before it: give each its own name.")
        else:
            names.add(source.name)
            yield source


def _build_first(options: MountedOptions, extra: Mapping[str, Any]) -> tuple[SourceSettings, ...]:
    return build_first_source(options, **{name: extra[name] for name in SOURCE_FIELDS if extra.get(name)})


def _parse(values: Mapping[str, Any], places: Mapping[str, str] | None = None) -> MountedOptions:
    in_file = f"of [{SECTION}]"
    return parse_options(
        MountedOptions,
        values,
        lambda option: f"option {option.name} {(places or {}).get(option.name, in_file)}",
    )


def _read_option(name: str) -> str:
    from airflow.configuration import conf

    try:
        return str(conf.get(SECTION, name, fallback="") or "")
    except configparser.InterpolationError:
        raise PushMetricsConfigurationError(
            f"option {name} of [{SECTION}] has a % in airflow.cfg, where it must be written as %%. Or set"
            f" AIRFLOW__{SECTION.upper()}__{name.upper()}, where % is not special."
        ) from None
    except Exception as error:  # of any command or secrets backend
        raise PushMetricsUnavailableError(
            f"option {name} of [{SECTION}] cannot be read: {describe_fault(error)}"
        ) from None
