"""
The settings of the mounted receiver: section ``[pushmetrics]`` of ``airflow.cfg``, and Airflow connections.

A connection overrides the option of the same name. Connections are read again while the
receiver runs, so that a credential can be changed without a restart.
"""

from __future__ import annotations

import configparser
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_pushmetrics.exceptions import MalformedConnectionError, PushMetricsConfigurationError
from airflow_provider_pushmetrics.plugins.connections import find_connection
from airflow_provider_pushmetrics.plugins.source_connections import read_connections
from airflow_provider_pushmetrics.receiver.endpoints.access import Access
from airflow_provider_pushmetrics.receiver.settings import (
    MountedOptions,
    ReceiverSettings,
    SourceSettings,
    build_settings,
)
from airflow_provider_pushmetrics.receiver.sources import (
    build_checked_source,
    build_first_source,
    parse_rows,
    parse_sources,
)
from airflow_provider_pushmetrics.serving.logs import ThrottledLog
from airflow_provider_pushmetrics.serving.options import list_options, parse_options

log = logging.getLogger(__name__)

SECTION = "pushmetrics"
OPTIONS = [option.name for option in list_options(MountedOptions)]
NOT_IN_CONNECTION = ("reader_token", "receiver_connection", "source_connections")
NEED_RESTART = ("inbox", "keep_days", "listen_database_url")
SOURCE_FIELDS = ("networks", "rate_per_minute")
"""What only the connection says of the first source."""


def read_options() -> dict[str, str]:
    """
    Read section ``[pushmetrics]`` of Airflow's configuration.

    :raises PushMetricsConfigurationError: if a value of ``airflow.cfg`` has a single ``%``.
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
    """

    options: Mapping[str, str] = field(repr=False)
    _problems: ThrottledLog = field(default_factory=lambda: ThrottledLog(log), repr=False)

    @property
    def has_connections(self) -> bool:
        """Whether a part of it is in a connection, which may change."""
        return bool(self.options["receiver_connection"] or self.options["source_connections"])

    def build_settings(self) -> ReceiverSettings:
        """
        Build the receiver's settings.

        :raises PushMetricsConfigurationError: if they are incomplete or contradictory.
        """
        from airflow.configuration import AIRFLOW_HOME

        connection = self._find_connection()
        if connection is None and self._connection_id:
            raise PushMetricsConfigurationError(
                f"the connection {self._connection_id!r} of option receiver_connection does not exist: create"
                " it, with the reader token as its password."
            )
        options, extra = self._read_options(connection)
        sources = _build_first(options, extra) + parse_sources(extra.get("sources") or "")
        others = read_connections(options.source_connections, self._report)
        inbox = options.inbox.replace("{AIRFLOW_HOME}", AIRFLOW_HOME)
        return build_settings(replace(options, inbox=inbox), sources + others)

    def read_access(self) -> Access:
        """
        Read the connections again.

        A source that was deleted, or is no longer valid, is rejected; the others are not affected.

        :raises Exception: any error of the secrets backend.
        """
        problems: list[str] = []
        own, reader_token = self._read_own_access(problems.append)
        named = _parse({"source_connections": self.options["source_connections"]}).source_connections
        others = read_connections(named, problems.append)
        sources = {source.name: source for source in reversed(own + others)}
        if problems:
            self._report(" ".join(problems))
        else:
            self._problems.end("All connections of the receiver are valid sources again.")
        return Access(tuple(reversed(sources.values())), reader_token)

    def _read_own_access(self, report: Callable[[str], None]) -> tuple[tuple[SourceSettings, ...], str]:
        """Read the sources and the reader token of the receiver's own connection, or else of the options."""
        try:
            connection = self._find_connection()
        except PushMetricsConfigurationError as error:
            report(f"{error} Until then its sources and all readers are rejected.")
            return (), ""
        sources: list[SourceSettings] = []
        with self._reporting(report):
            options, extra = self._read_options(connection, left_out=NEED_RESTART)
            sources += _build_first(options, extra)
        with self._reporting(report):
            for row in parse_rows(connection.extra_dejson.get("sources") or "" if connection else ""):
                with self._reporting(report):
                    sources.append(build_checked_source(row))
        return tuple(sources), self._find_reader_token(connection)

    @contextmanager
    def _reporting(self, report: Callable[[str], None]) -> Iterator[None]:
        """Report what is invalid in the receiver's own connection; what it was before counts no more."""
        try:
            yield
        except PushMetricsConfigurationError as error:
            report(f"the connection {self._connection_id!r} has an invalid source: {error}")

    @property
    def _connection_id(self) -> str:
        return self.options["receiver_connection"].strip()

    def _find_connection(self) -> Any | None:
        """Find the receiver's own connection; None if there is none."""
        try:
            return find_connection(self._connection_id) if self._connection_id else None
        except MalformedConnectionError as error:
            raise PushMetricsConfigurationError(
                f"the connection {self._connection_id!r} of option receiver_connection is invalid: {error}"
            ) from None

    def _find_reader_token(self, connection: Any | None) -> str:
        password = connection.password if connection else None
        return _parse({"reader_token": password or self.options["reader_token"]}).reader_token or ""

    def _read_options(
        self, connection: Any | None, *, left_out: Collection[str] = ()
    ) -> tuple[MountedOptions, Mapping[str, Any]]:
        """Read the options, those of the receiver's connection before others, and that connection's extra."""
        extra = connection.extra_dejson if connection else {}
        said = {name: value for name, value in extra.items() if name not in NOT_IN_CONNECTION}
        values = {**self.options, **said, "reader_token": self._find_reader_token(connection)}
        kept = {name: value for name, value in values.items() if name not in left_out}
        return _parse(kept, dict.fromkeys(said, f"of the connection {self._connection_id!r}")), extra

    def _report(self, problem: str) -> None:
        self._problems.error("The receiver ignores a source: %s", problem)


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
