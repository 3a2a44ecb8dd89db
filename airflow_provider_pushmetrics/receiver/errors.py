"""
What the receiver answers when it does not do what was asked: one class per answer, each a ``Refusal``.

They never leave the receiver: the app turns each into its status and ``{"message": …}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from airflow_provider_pushmetrics.exceptions import PushMetricsError


class Refusal(PushMetricsError):
    """
    A request that is answered with an error.

    :param message: One sentence for the one who asked; never more than they may know.
    """

    status_code: ClassVar[int] = 400
    outcome: ClassVar[str] = "invalid"
    headers: Mapping[str, str] = {}


class BadRequest(Refusal):
    """The request does not say what it must."""


class Unauthorized(Refusal):
    """
    Whoever asks has not shown that they may.

    :param message: The same for every fault.
    :param reason: Which fault it is, in a word: for metrics and the log of refused deliveries alone.
    """

    def __init__(self, message: str, reason: str = "credential") -> None:
        super().__init__(message)
        self.reason = reason

    status_code = 401
    outcome = "unauthorized"
    headers = {"www-authenticate": "Bearer"}


class NotFound(Refusal):
    """There is no such thing."""

    status_code = 404


class BodyTimeout(Refusal):
    """The body did not arrive in time."""

    status_code = 408
    outcome = "timeout"
    headers = {"connection": "close"}


class BodyTooLarge(Refusal):
    """The body is larger than is taken."""

    status_code = 413
    outcome = "too_large"
    headers = {"connection": "close"}


class UnsupportedMediaType(Refusal):
    """The body is not said to be JSON."""

    status_code = 415
    outcome = "unsupported"


class TooManyRequests(Refusal):
    """
    More than was agreed.

    :param retry_after_seconds: When the next may come.
    """

    status_code = 429
    outcome = "limited"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__("The source delivers more than it may. Send it again later.")
        self.headers = {"retry-after": str(retry_after_seconds)}


class Unavailable(Refusal):
    """It may work later; nothing was kept."""

    status_code = 503
    outcome = "unavailable"
    headers = {"retry-after": "5"}
