"""
The settings of the mounted receiver: section ``[pushmetrics]`` of ``airflow.cfg``, and Airflow connections.

A connection overrides the option of the same name. Connections are read again while the
receiver runs, so that a credential can be changed without a restart.
"""

from __future__ import annotations

import configparser
import logging
from collections.abc import Callable, Mapping
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
from airflow_provider_pushmetrics.receiver.sources import build_first_source, parse_sources
from airflow_provider_pushmetrics.serving.logs import ThrottledLog
from airflow_provider_pushmetrics.serving.options import list_options, parse_options

log = logging.getLogger(__name__)

SECTION = "pushmetrics"
OPTIONS = [option.name for option in list_options(MountedOptions)]
NOT_IN_CONNECTION = ("reader_token", "receiver_connection", "source_connections")
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

        options, extra = self._read(is_required=True)
        inbox = options.inbox.replace("{AIRFLOW_HOME}", AIRFLOW_HOME)
        return build_settings(
            replace(options, inbox=inbox), self._build_sources(options, extra, self._report)
        )

    def read_access(self) -> Access:
        """
        Read the connections again.

        A source whose connection was deleted, or is no longer a source, is rejected.

        :raises Exception: any error of the secrets backend.
        """
        problems: list[str] = []
        options, extra = self._read(is_required=False)
        found = self._build_sources(options, extra, problems.append)
        sources = {source.name: source for source in reversed(found)}
        if problems:
            self._report(" ".join(problems))
        else:
            self._problems.end("All connections of the receiver are valid sources again.")
        return Access(tuple(reversed(sources.values())), options.reader_token or "")

    def _read(self, *, is_required: bool) -> tuple[MountedOptions, Mapping[str, Any]]:
        """Read the options, those of the receiver's connection before others, and that connection's extra."""
        connection_id = self.options["receiver_connection"].strip()
        try:
            connection = find_connection(connection_id) if connection_id else None
        except MalformedConnectionError as error:
            raise PushMetricsConfigurationError(
                f"the connection {connection_id!r} of option receiver_connection is invalid: {error}"
            ) from None
        if connection is None:
            if connection_id and is_required:
                raise PushMetricsConfigurationError(
                    f"the connection {connection_id!r} of option receiver_connection does not exist: create"
                    " it, with the reader token as its password."
                )
            return _parse(self.options), {}
        where = f"of the connection {connection_id!r}"
        extra = connection.extra_dejson
        said = {name: value for name, value in extra.items() if name not in NOT_IN_CONNECTION}
        reader_token = connection.password or self.options["reader_token"]
        values = {**self.options, **said, "reader_token": reader_token}
        return _parse(values, dict.fromkeys(said, where)), extra

    def _build_sources(
        self, options: MountedOptions, extra: Mapping[str, Any], report: Callable[[str], None]
    ) -> tuple[SourceSettings, ...]:
        first = build_first_source(
            options, **{name: extra[name] for name in SOURCE_FIELDS if extra.get(name)}
        )
        others = parse_sources(extra.get("sources") or "")
        return first + others + read_connections(options.source_connections, report)

    def _report(self, problem: str) -> None:
        self._problems.error("The receiver ignores a source: %s", problem)


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
