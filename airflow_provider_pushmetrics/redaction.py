"""
Take tokens out of text that people will read: URLs, log lines, error messages.

The trigger's token rides in a URL, so whatever prints a URL prints a token, unless it goes through here
first.
"""

from __future__ import annotations

import logging
import re
from urllib.parse import quote, quote_plus

REDACTED = "***"

_PATTERNS = (
    (
        re.compile(r"((?:^|[?&;\s])(?:token|access_token|api_key|secret|signature)=)[^&#\s\"'<>]+", re.I),
        rf"\1{REDACTED}",
    ),
    (re.compile(r"\b((?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=-]{6,}", re.I), rf"\1{REDACTED}"),
    (re.compile(r"\b(pmpat_|whsec_)[A-Za-z0-9_+/=-]+"), rf"\1{REDACTED}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+\.?[A-Za-z0-9_-]*"), REDACTED),
    (re.compile(r"(://)[^/@\s]+@"), rf"\1{REDACTED}@"),
)


def redact(text: str, *known_secrets: str | None) -> str:
    """
    Replace what looks like a credential, and each of the secrets given, by ``***``.

    :param text: What is about to be logged or raised.
    :param known_secrets: Secrets to take out wherever they stand, as they are and URL-quoted.
    """
    for secret in known_secrets:
        if secret:
            for form in (secret, quote(secret, safe=""), quote_plus(secret)):
                text = text.replace(form, REDACTED)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


class RedactingFilter(logging.Filter):
    """Redact every record that passes, its arguments and its traceback included."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place and let it pass."""
        record.msg = redact(record.getMessage())
        record.args = None
        if record.exc_info and record.exc_info[1] is not None and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        return True
