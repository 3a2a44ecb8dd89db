"""
Every error that this package raises to its users: in Dags, by the hook, the client, the notifier and the CLI.

::

    PushMetricsError
    ├── PushMetricsConfigurationError     a setting or a connection is incomplete or contradicts itself
    │   ├── PushMetricsMissingExtraError  a part of this package is not installed
    │   └── MalformedConnectionError      an Airflow connection exists, but cannot be read
    ├── PushMetricsAirflowVersionError    this Airflow is too old for what was asked
    ├── PushMetricsParameterError         a value given to an operator, a sensor or a call is not allowed
    │   └── PushMetricsEndpointError      a webhook's URL leads where the service must not send
    ├── PushMetricsApiError               PushMetrics, or the receiver, did not do what was asked
    │   ├── PushMetricsUnavailableError   it may work later: no connection, 408, 429, 5xx
    │   │   └── PushMetricsLastLookError    a deadline passed, and the last look before it had failed
    │   ├── PushMetricsAuthError          401, 402, 403: the credential was refused
    │   ├── PushMetricsNotFoundError      404
    │   ├── PushMetricsConflictError      409: an idempotency key used with other parameters
    │   └── PushMetricsProtocolError      the answer is not one of this API: a redirect, HTML, another shape
    ├── PushMetricsDeliveryUnknownError   a request that must not be sent twice may have been delivered
    ├── PushMetricsUntrustedUrlError      a URL from an event points where the API token must not go
    ├── PushMetricsRunError               the run itself
    │   ├── PushMetricsRunFailed          it ended, and not well
    │   ├── PushMetricsRunTimeout         it did not end in time
    │   ├── PushMetricsTruncatedResultError  the result of a query does not have all rows
    │   ├── PushMetricsNoResultsError     the run has no results to save
    │   └── PushMetricsAmbiguousRun       several runs could be the one that was started
    ├── NotificationError                 a mail or a message to Slack was not taken
    │   ├── NotificationDelayedError      it may be, later
    │   └── NotificationRefusedError      it will not be, as it is
    ├── NoDagForAssetError                no Dag is scheduled by an asset
    ├── InvalidEventError                 a webhook body that is no event
    ├── InvalidSignatureError             a webhook that its signature does not prove
    ├── PushMetricsTestingError           the reference service of a test refused a request
    └── DemoError                         a step of the demo could not be done

Each is built from its message alone, because Airflow carries only ``str(error)`` between processes. Facts
for a program are in optional attributes.

Those that are an ``AirflowFailException`` too, so that a task is not retried, are in ``task_failures``; their
bases are here. The receiver and the service have errors of their own, which they answer by HTTP or record
with a run.
"""

from __future__ import annotations


class PushMetricsError(Exception):
    """The root: catch this to catch whatever this package raises."""


def rebuild_error(name: str | None, message: str) -> PushMetricsError:
    """
    Build an error of this package again from its class's name and its message, in another process.

    What nobody knows, such as the error of a later version, is one that may not last.
    """
    found = globals().get(name or "")
    if isinstance(found, type) and issubclass(found, PushMetricsError):
        return found(message)
    return PushMetricsUnavailableError(message)


class PushMetricsConfigurationError(PushMetricsError):
    """A setting or a connection is incomplete, or contradicts itself."""


class PushMetricsMissingExtraError(PushMetricsConfigurationError):
    """A part of this package is not installed; the message says which extra brings it."""


class MalformedConnectionError(PushMetricsConfigurationError):
    """An Airflow connection exists, but cannot be parsed or decrypted."""


class PushMetricsAirflowVersionError(PushMetricsError):
    """This Airflow is too old for what was asked; the message says which version is not."""


class PushMetricsParameterError(PushMetricsError, ValueError):
    """A value given to an operator, a sensor or a call is not allowed."""


class PushMetricsEndpointError(PushMetricsParameterError):
    """A webhook's URL leads where the service must not send."""


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
    It may work later: no connection, a timeout, 408, 429 or 5xx.

    :param retry_after_seconds: How long the server asks to wait, where it says so.
    """

    def __init__(
        self, message: str, *, status_code: int | None = None, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message, status_code=status_code)
        self.retry_after_seconds = retry_after_seconds


class PushMetricsLastLookError(PushMetricsUnavailableError):
    """The deadline of a wait passed, and the last look had failed; the message says why."""


class PushMetricsAuthError(PushMetricsApiError):
    """The credential was refused: 401, 402 or 403."""


class PushMetricsNotFoundError(PushMetricsApiError):
    """There is no such thing: 404."""


class PushMetricsConflictError(PushMetricsApiError):
    """An idempotency key was used before with other parameters: 409."""


class PushMetricsProtocolError(PushMetricsApiError):
    """The answer is not one of this API: a redirect, HTML, another shape."""


class PushMetricsDeliveryUnknownError(PushMetricsError):
    """
    A request that must not be sent twice may have been delivered, so it was not repeated.

    Where nothing can be found out about it, a task fails with one that is an ``AirflowFailException`` as
    well, so that Airflow does not retry it.
    """


class PushMetricsUntrustedUrlError(PushMetricsError):
    """A URL from an event points to an origin that must not see the API token."""


class PushMetricsRunError(PushMetricsError):
    """
    Something is wrong with the run itself.

    :param run_id: The run.
    """

    def __init__(self, message: str, *, run_id: int | None = None) -> None:
        super().__init__(message)
        self.run_id = run_id


class PushMetricsRunFailed(PushMetricsRunError):
    """The run ended, and not well."""


class PushMetricsRunTimeout(PushMetricsRunError):
    """The run did not end in time; it may still be going on."""


class PushMetricsTruncatedResultError(PushMetricsRunError):
    """The result of a query does not have all rows, because a limit cut it."""


class PushMetricsNoResultsError(PushMetricsRunError):
    """The run has no results to save."""


class PushMetricsAmbiguousRun(PushMetricsRunError):
    """Several runs could be the one that was started."""


class NotificationError(PushMetricsError):
    """A mail or a message to Slack was not taken."""


class NotificationDelayedError(NotificationError):
    """
    It may be taken later: no connection, a timeout, or the server said so.

    :param retry_after_seconds: How long the server asks to wait, where it says so.
    """

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class NotificationRefusedError(NotificationError):
    """It will not be taken as it is: a wrong address, a wrong password, an unknown channel."""


class NoDagForAssetError(PushMetricsError):
    """No Dag is scheduled by an asset now, so an event of it would start nothing."""


class InvalidEventError(PushMetricsError):
    """A webhook body is no event."""


class InvalidSignatureError(PushMetricsError):
    """A webhook's signature does not prove that it comes from who holds the secret, now."""


class PushMetricsTestingError(PushMetricsError):
    """The reference service of a test refused a request, an id is in use, or a run did not end in time."""


class DemoError(PushMetricsError):
    """
    A step of the demo could not be done.

    :param message: What, why and the way out.
    :param log: The end of the log that says more, without tokens.
    """

    def __init__(self, message: str, *, log: str = "") -> None:
        super().__init__(message)
        self.log = log
