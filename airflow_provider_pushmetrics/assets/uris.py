"""
The URIs of PushMetrics assets: ``pushmetrics://<host>/reports/<report>/queries/<query>``.

Airflow imports this module wherever it first reads a URI, so it has few imports.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset as OpenLineageDataset
    from airflow.sdk import Asset

SCHEME = "pushmetrics"
DEFAULT_HOST = "pushmetrics.io"
RULE = (
    "it must look like pushmetrics://pushmetrics.io/reports/1, pushmetrics://pushmetrics.io/queries/2 or"
    " pushmetrics://pushmetrics.io/reports/1/queries/2, optionally followed by '?name=…'"
)

_PATH = re.compile(
    r"(?:/reports(?:/(?P<report>[\w.-]{1,64}))?)?(?:/queries/(?P<query>[\w.-]{1,64}))?", re.ASCII
)
_AUTHORITY = re.compile(r"(?:[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?")


@dataclass(frozen=True)
class ReportUri:
    """
    The parts of a URI.

    :param authority: The host of PushMetrics, and the port if there is one.
    :param report_id: The number or uid of the report; None for all, or for that of the query.
    :param query_id: The number of the query; None for a whole report.
    :param name: Distinguishes several assets of one report or query; not part of the lineage.
    """

    authority: str
    report_id: str | None = None
    query_id: str | None = None
    name: str | None = None

    @property
    def namespace(self) -> str:
        """The namespace of the dataset in OpenLineage."""
        return f"{SCHEME}://{self.authority}"

    @property
    def path(self) -> str:
        """The name of the dataset in OpenLineage."""
        parts = ["reports", self.report_id] if self.report_id or not self.query_id else []
        parts += ["queries", self.query_id] if self.query_id else []
        return "/".join(part for part in parts if part)

    def __str__(self) -> str:
        """Write the URI."""
        query = urlencode({"name": self.name}) if self.name is not None else ""
        return urlunsplit((SCHEME, self.authority, f"/{self.path}", query, ""))


def parse_uri(uri: str | SplitResult) -> ReportUri:
    """
    Read a URI.

    :raises PushMetricsParameterError: if it is invalid, with the rule. The error does not repeat a user, a
        password or a token, because assets are visible to everybody.
    """
    parts = urlsplit(uri) if isinstance(uri, str) else uri
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    match = _PATH.fullmatch(parts.path.rstrip("/"))
    query = parse_qsl(parts.query, keep_blank_values=True)
    if "@" in parts.netloc or {key for key, _ in query} - {"name"} or len(query) > 1 or parts.fragment:
        raise PushMetricsParameterError(
            f"the asset URI {shown!r} has a user, a fragment or a query that is not allowed: {RULE}."
        )
    authority = parts.netloc.lower()
    if (
        parts.scheme != SCHEME
        or not _AUTHORITY.fullmatch(authority)
        or not match
        or not parts.path.strip("/")
    ):
        raise PushMetricsParameterError(f"{shown!r} is not an asset URI of PushMetrics: {RULE}.")
    return ReportUri(authority, match["report"], match["query"], query[0][1] if query else None)


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """
    Check and normalize a URI; Airflow calls this for each asset of the scheme.

    :raises PushMetricsParameterError: which is a ``ValueError``, as Airflow expects.
    """
    return urlsplit(str(parse_uri(uri)))


def create_asset(
    *,
    report_id: int | str | None = None,
    query_id: int | str | None = None,
    host: str = DEFAULT_HOST,
    name: str | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Asset:
    """
    Create the asset of a report or of a query, for example for ``outlets``.

    :param report_id: The number or uid of the report; None for all, or for that of the query.
    :param query_id: The number of the query; None for a whole report.
    :param host: The host of PushMetrics, with a port if necessary.
    :param name: The asset's name, on Airflow 3; by default its URI. It is a part of the URI, because Airflow
        activates only one asset of a URI. On Airflow 2 it is only that part of the URI.
    :param extra: The rest of the asset's ``extra``.
    :return: The asset.
    :raises PushMetricsParameterError: if the host or an id cannot be a part of a URI.
    """
    from airflow_provider_pushmetrics.compat import Asset

    uri = str(parse_uri(str(ReportUri(host, _write_id(report_id), _write_id(query_id), name))))
    given: dict[str, Any] = {"name": name} if name is not None else {}
    asset: Asset = Asset(uri=uri, extra=dict(extra or {}), **given)
    return asset


def convert_asset_to_openlineage(asset: Asset, lineage_context: object) -> OpenLineageDataset:
    """Convert an asset for OpenLineage: the host is the namespace, the path is the name."""
    from airflow.providers.common.compat.openlineage.facet import Dataset as OpenLineageDataset

    uri = parse_uri(asset.uri)
    return OpenLineageDataset(namespace=uri.namespace, name=uri.path)


def _write_id(value: int | str | None) -> str | None:
    return None if value is None else str(value)
