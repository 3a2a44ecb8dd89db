"""Who is told."""

from __future__ import annotations

import re

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError

MAX_ADDRESS_LENGTH = 254

# Plain addresses only, as in a browser's form: no comments, no quotes, no second address, nothing that ends a
# line. The parser of the standard library takes more, and some texts make it raise an AttributeError.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*\Z")


def check_recipient(address: str) -> str:
    """
    Accept one mail address.

    :raises PushMetricsParameterError: if it is none, or more than one.
    """
    if len(address) > MAX_ADDRESS_LENGTH or not _ADDRESS.match(address):
        raise PushMetricsParameterError(
            f"{address[:MAX_ADDRESS_LENGTH]!r} is no mail address: it must look like 'name@example.com'."
        )
    return address
