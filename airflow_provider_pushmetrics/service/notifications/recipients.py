"""Who is told."""

from __future__ import annotations

from email.errors import HeaderParseError
from email.headerregistry import Address

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError

MAX_ADDRESS_LENGTH = 320


def check_recipient(address: str) -> str:
    """
    Accept one mail address.

    :raises PushMetricsParameterError: if it is none, or more than one.
    """
    try:
        parsed = Address(addr_spec=address)
    except (HeaderParseError, ValueError, IndexError):
        parsed = None
    if (
        parsed is None
        or not (parsed.username and parsed.domain)
        or len(address) > MAX_ADDRESS_LENGTH
        or not address.isprintable()
        or any(letter in address for letter in ' ,;<>()"')
    ):
        raise PushMetricsParameterError(
            f"{address!r} is no mail address: it must look like 'name@example.com'."
        )
    return address
