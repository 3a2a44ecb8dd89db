"""
The settings of the mounted receiver: section ``[pushmetrics]`` of ``airflow.cfg``, and Airflow connections.

A connection overrides the option of the same name. Connections are read again while the
receiver runs, so that a credential can be changed without a restart.
"""

from __future__ import annotations

import configparser
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from airflow_provider_pushmetrics.exceptions import MalformedConnectionError, PushMetricsConfigurationError
from airflow_provider_pushmetrics.plugins.source_connections import (
    find_connection,
    read_connections,
)
from airflow_provider_pushmetrics.receiver.endpoints.access import Access
from airflow_provider_pushmetrics.receiver.settings import DEFAULT_SOURCE, ReceiverSettings, SourceSettings
from airflow_provider_pushmetrics.receiver.sources import build_checked_source, parse_sources
from airflow_provider_pushmetrics.serving.logs import ThrottledLog

log = logging.getLogger(__name__)

SECTION = "pushmetrics"
FIRST_SOURCE = ("source", "token", "signing_secrets", "lenient_content_type")
CONNECTION_ONLY = ("networks", "rate_per_minute")
WHOLE_RECEIVER = ("inbox", "sources", "keep_days", "keep_events")
OPTIONS = ("reader_token", "receiver_connection", "source_connections", *FIRST_SOURCE, *WHOLE_RECEIVER)

Limit = TypeVar("Limit", int, float)


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
        merged = self._merge(is_required=True)
        return ReceiverSettings(
            inbox=str(merged.get("inbox") or "").strip() or build_default_inbox(),
            sources=self._build_sources(merged, self._report),
            reader_token=str(merged.get("reader_token") or "").strip(),
            keep_days=_parse_limit(float, "keep_days", merged.get("keep_days")),
            keep_events=_parse_limit(int, "keep_events", merged.get("keep_events")),
        )

    def read_access(self) -> Access:
        """
        Read the connections again.

        A source whose connection was deleted, or is no longer a source, is rejected.

        :raises Exception: any error of the secrets backend.
        """
        problems: list[str] = []
        merged = self._merge(is_required=False)
        sources = {source.name: source for source in reversed(self._build_sources(merged, problems.append))}
        if problems:
            self._report(" ".join(problems))
        else:
            self._problems.end("All connections of the receiver are valid sources again.")
        return Access(tuple(reversed(sources.values())), str(merged.get("reader_token") or "").strip())

    def _merge(self, *, is_required: bool) -> dict[str, Any]:
        """Override the options by the receiver's connection."""
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
            return dict(self.options)
        extra = connection.extra_dejson
        said = {
            name: extra[name] for name in (*FIRST_SOURCE, *CONNECTION_ONLY, *WHOLE_RECEIVER) if name in extra
        }
        return {**self.options, **said, "reader_token": connection.password or self.options["reader_token"]}

    def _build_sources(
        self, merged: Mapping[str, Any], report: Callable[[str], None]
    ) -> tuple[SourceSettings, ...]:
        first = _build_first_source(merged)
        others = parse_sources(merged.get("sources") or "")
        return first + others + read_connections(self.options["source_connections"], report)

    def _report(self, problem: str) -> None:
        self._problems.error("The receiver ignores a source: %s", problem)


def build_default_inbox() -> str:
    """Build the URL of the inbox in Airflow's home."""
    from airflow.configuration import AIRFLOW_HOME

    return f"sqlite:///{AIRFLOW_HOME}/pushmetrics-inbox.db"


def _build_first_source(merged: Mapping[str, Any]) -> tuple[SourceSettings, ...]:
    if not merged.get("token") and not merged.get("signing_secrets"):
        return ()
    row = {name: merged[name] for name in (*FIRST_SOURCE[1:], *CONNECTION_ONLY) if merged.get(name)}
    return (build_checked_source({**row, "name": merged.get("source") or DEFAULT_SOURCE}),)


def _read_option(name: str) -> str:
    from airflow.configuration import conf

    try:
        return str(conf.get(SECTION, name, fallback="") or "")
    except configparser.InterpolationError:
        raise PushMetricsConfigurationError(
            f"option {name} of [{SECTION}] has a % in airflow.cfg, where it must be written as %%. Or set"
            f" AIRFLOW__{SECTION.upper()}__{name.upper()}, where % is not special."
        ) from None


def _parse_limit(kind: Callable[[str], Limit], option: str, value: object) -> Limit | None:
    text = "" if value is None else str(value)
    try:
        return kind(text) if text.strip() else None
    except ValueError:
        raise PushMetricsConfigurationError(
            f"option {option} of [{SECTION}] is {text!r}: it must be a number; leave it out for no limit."
        ) from None
