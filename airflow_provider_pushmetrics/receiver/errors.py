"""
The error responses of the receiver: one class for each status, all subclasses of ``Refusal``.

They never leave the receiver: the app turns each into its status and ``{"message": …}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from airflow_provider_pushmetrics.exceptions import PushMetricsError


class Refusal(PushMetricsError):
    """
    A request that is rejected.

    :param message: One sentence for the client, without secrets.
    """

    status_code: ClassVar[int] = 400
    outcome: ClassVar[str] = "invalid"
    headers: Mapping[str, str] = {}


class BadRequest(Refusal):
    """The request is invalid."""


class Unauthorized(Refusal):
    """
    The credential is missing or wrong.

    :param message: The same for every cause.
    :param reason: The cause in one word, only for metrics and the log of rejected webhooks.
    """

    def __init__(self, message: str, reason: str = "credential") -> None:
        super().__init__(message)
        self.reason = reason

    status_code = 401
    outcome = "unauthorized"
    headers = {"www-authenticate": "Bearer"}


class NotFound(Refusal):
    """Not found."""

    status_code = 404


class Conflict(Refusal):
    """The request contradicts what is stored."""

    status_code = 409


class BodyTimeout(Refusal):
    """The body did not arrive in time."""

    status_code = 408
    outcome = "timeout"
    headers = {"connection": "close"}


class BodyTooLarge(Refusal):
    """The body is too large."""

    status_code = 413
    outcome = "too_large"
    headers = {"connection": "close"}


class UnsupportedMediaType(Refusal):
    """The content type is not JSON."""

    status_code = 415
    outcome = "unsupported"


class TooManyRequests(Refusal):
    """
    The rate limit is exceeded.

    :param retry_after_seconds: When the next request may be sent.
    """

    status_code = 429
    outcome = "limited"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__("The rate limit of the source is exceeded. Send it again later.")
        self.headers = {"retry-after": str(retry_after_seconds)}


class Unavailable(Refusal):
    """Temporary; nothing was stored."""

    status_code = 503
    outcome = "unavailable"
    headers = {"retry-after": "5"}
