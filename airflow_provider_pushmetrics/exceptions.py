"""
All errors of this package: in Dags, and by the hook, the client, the notifier and the CLI.

::

    PushMetricsError
    ├── PushMetricsConfigurationError     a setting or a connection is incomplete or contradicts itself
    │   ├── PushMetricsMissingExtraError  a part of this package is not installed
    │   └── MalformedConnectionError      an Airflow connection exists, but cannot be read
    ├── PushMetricsAirflowVersionError    this Airflow does not support the feature
    ├── PushMetricsParameterError         a value given to an operator, a sensor or a call is not allowed
    │   └── PushMetricsEndpointError      a webhook's URL leads where the service must not send
    ├── PushMetricsApiError               PushMetrics, or the receiver, did not do what was asked
    │   ├── PushMetricsUnavailableError   temporary: no connection, 408, 429, 5xx
    │   │   └── PushMetricsLastLookError    a deadline passed, and the last poll had failed
    │   ├── PushMetricsAuthError          401, 402, 403: the credential was rejected
    │   ├── PushMetricsNotFoundError      404
    │   ├── PushMetricsConflictError      409: an idempotency key used with other parameters
    │   └── PushMetricsProtocolError      an unexpected response: a redirect, HTML, another shape
    ├── PushMetricsEventTakenError       another process has taken the event of a named consumer
    ├── PushMetricsDeliveryUnknownError   a request that must not be sent twice may have been delivered
    ├── PushMetricsUntrustedUrlError      the API token must not be sent to a URL in an event
    ├── PushMetricsRunError               the run itself
    │   ├── PushMetricsRunFailed          it failed
    │   ├── PushMetricsRunTimeout         it did not end in time
    │   ├── PushMetricsTruncatedResultError  the result of a query is incomplete
    │   ├── PushMetricsNoResultsError     the run has no results to save
    │   └── PushMetricsAmbiguousRun       several runs are candidates for the one that was started
    ├── NotificationError                 a mail or a message to Slack was not accepted
    │   ├── NotificationDelayedError      temporary: it may be accepted later
    │   └── NotificationRefusedError      permanent
    ├── NoDagForAssetError                no Dag is scheduled by an asset
    ├── InvalidEventError                 a webhook body that is not an event
    ├── InvalidSignatureError             the signature of a webhook is invalid
    └── PushMetricsTestingError           the reference service of a test refused a request

Each is built from its message alone, because Airflow carries only ``str(error)`` between processes. Other
facts are in optional attributes.

Errors that are also an ``AirflowFailException``, so that a task is not retried, are in ``tasks.failures``;
their bases are here. The receiver and the service have their own errors, which become HTTP responses or are
recorded with a run.
"""

from __future__ import annotations


class PushMetricsError(Exception):
    """The base class of all errors of this package."""


def rebuild_error(name: str | None, message: str) -> PushMetricsError:
    """
    Rebuild an error of this package from its class name and its message, in another process.

    An unknown name, such as one of a later version, becomes a temporary error.
    """
    found = globals().get(name or "")
    if isinstance(found, type) and issubclass(found, PushMetricsError):
        return found(message)
    return PushMetricsUnavailableError(message)


class PushMetricsConfigurationError(PushMetricsError):
    """A setting or a connection is incomplete, or contradicts itself."""


class PushMetricsMissingExtraError(PushMetricsConfigurationError):
    """A part of this package is not installed; the message contains the extra to install."""


class MalformedConnectionError(PushMetricsConfigurationError):
    """An Airflow connection exists, but cannot be parsed or decrypted."""


class PushMetricsAirflowVersionError(PushMetricsError):
    """This Airflow does not support the feature; the message contains the required version."""


class PushMetricsParameterError(PushMetricsError, ValueError):
    """A value given to an operator, a sensor or a call is not allowed."""


class PushMetricsEndpointError(PushMetricsParameterError):
    """The service must not send to a webhook's URL."""


class PushMetricsApiError(PushMetricsError):
    """
    PushMetrics, or the receiver, did not do what was asked.

    :param message: What was asked, what came back and what to do.
    :param status_code: The HTTP status, where there was an answer.
    """

    def __init__(self, message: str, *, status_code: int | None = None) -> None:
        super().__init__(message)
        self.status_code = status_code


class PushMetricsUnavailableError(PushMetricsApiError):
    """
    It may succeed later: no connection, a timeout, 408, 429 or 5xx.

    :param retry_after_seconds: The server's ``Retry-After``, if any.
    """

    def __init__(
        self, message: str, *, status_code: int | None = None, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message, status_code=status_code)
        self.retry_after_seconds = retry_after_seconds


class PushMetricsLastLookError(PushMetricsUnavailableError):
    """The deadline of a wait passed, and the last poll had failed; the message contains its error."""


class PushMetricsAuthError(PushMetricsApiError):
    """The credential was rejected: 401, 402 or 403."""


class PushMetricsNotFoundError(PushMetricsApiError):
    """Not found: 404."""


class PushMetricsConflictError(PushMetricsApiError):
    """An idempotency key was already used with other parameters: 409."""


class PushMetricsProtocolError(PushMetricsApiError):
    """An unexpected response: a redirect, HTML, another shape."""


class PushMetricsEventTakenError(PushMetricsError):
    """Another process has taken this event, or a later one, of a named consumer of the receiver."""


class PushMetricsDeliveryUnknownError(PushMetricsError):
    """
    A request that must not be sent twice may have been delivered, so it was not repeated.

    If its result cannot be determined, a task fails with a subclass that is also an ``AirflowFailException``,
    so that Airflow does not retry it.

    :param retry_after_seconds: The ``Retry-After`` of a response that does not tell the result, such as 503.
    """

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class PushMetricsUntrustedUrlError(PushMetricsError):
    """The API token must not be sent to the origin of a URL in an event."""


class PushMetricsRunError(PushMetricsError):
    """
    Something is wrong with the run itself.

    :param run_id: The run.
    """

    def __init__(self, message: str, *, run_id: int | None = None) -> None:
        super().__init__(message)
        self.run_id = run_id


class PushMetricsRunFailed(PushMetricsRunError):
    """The run failed."""


class PushMetricsRunTimeout(PushMetricsRunError):
    """The run did not end in time; it may still run."""


class PushMetricsTruncatedResultError(PushMetricsRunError):
    """The result of a query is incomplete because of a row limit."""


class PushMetricsNoResultsError(PushMetricsRunError):
    """The run has no results to save."""


class PushMetricsAmbiguousRun(PushMetricsRunError):
    """Several runs are candidates for the one that was started."""


class NotificationError(PushMetricsError):
    """A mail or a message to Slack was not accepted."""


class NotificationDelayedError(NotificationError):
    """
    Temporary: no connection, a timeout, or the server asked to retry.

    :param retry_after_seconds: The server's ``Retry-After``, if any.
    """

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class NotificationRefusedError(NotificationError):
    """Permanent: a wrong address, a wrong password, an unknown channel."""


class NoDagForAssetError(PushMetricsError):
    """No Dag is scheduled by an asset, so an event of it would start nothing."""


class InvalidEventError(PushMetricsError):
    """A webhook body is not an event."""


class InvalidSignatureError(PushMetricsError):
    """The signature of a webhook is invalid, or too old."""


class PushMetricsTestingError(PushMetricsError):
    """The reference service of a test refused a request, an id is in use, or a run did not end in time."""
