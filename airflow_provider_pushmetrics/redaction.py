"""
Remove tokens from text that people read: URLs, log lines, error messages.

The trigger's token is in a URL, so everything that prints a URL must be redacted
first.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

REDACTED = "***"

# Each must take linear time for any text: a request without a credential decides what is redacted.
_PATTERNS = (
    (
        re.compile(r"((?:^|[?&;\s])(?:token|access_token|api_key|secret|signature)=)[^&#\s\"'<>]+", re.I),
        rf"\1{REDACTED}",
    ),
    (re.compile(r"\b((?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=-]{6,}", re.I), rf"\1{REDACTED}"),
    (re.compile(r"\b(pmpat_|whsec_)[A-Za-z0-9_+/=-]+"), rf"\1{REDACTED}"),
    (
        # Tried once in each run of such characters, and only if a dot follows that run.
        re.compile(
            r"(?<![A-Za-z0-9_-])(?=[A-Za-z0-9_-]+\.[A-Za-z0-9_-])([A-Za-z0-9_-]*?)"
            r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+\.?[A-Za-z0-9_-]*"
        ),
        rf"\1{REDACTED}",
    ),
    (re.compile(r"(://)[^/@\s]+@"), rf"\1{REDACTED}@"),
)


MIN_SECRET_LENGTH = 4

_BEFORE_PASSWORD = r"""((?:password|passwd|pwd|secret|token|identified by)["']?(?:\s*[=:]\s*["']?|\s+["']))"""  # noqa: S105 (a pattern)
"""How messages write passwords outside URLs; there they are always removed."""

_HEX = re.compile(r"%[0-9A-F]{2}")


def redact(text: str, *known_secrets: str | None) -> str:
    """
    Replace everything that looks like a credential, and each of the secrets given, by ``***``.

    :param text: The text to log or raise.
    :param known_secrets: Secrets to remove everywhere, raw and URL-quoted. One of fewer
        than ``MIN_SECRET_LENGTH`` characters is removed only where a password is written: elsewhere it is
        a letter or two of the message.
    """
    secrets = [secret for secret in known_secrets if secret]
    short = [secret for secret in secrets if len(secret) < MIN_SECRET_LENGTH]
    if short:
        expression = rf"{_BEFORE_PASSWORD}(?:{_join_forms(short)})(?!\w)"
        text = re.sub(expression, rf"\1{REDACTED}", text, flags=re.IGNORECASE)
    if len(short) < len(secrets):
        text = re.sub(_join_forms(secret for secret in secrets if secret not in short), REDACTED, text)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def strip_query(url: str) -> str:
    """Remove the query and the fragment of a URL: either may have a token, under any name."""
    return url.partition("#")[0].partition("?")[0]


def _join_forms(secrets: Iterable[str]) -> str:
    """Build the expression for secrets; longer ones come before their prefixes."""
    return "|".join(map(re.escape, sorted(_list_forms(secrets), key=len, reverse=True)))


def _list_forms(secrets: Iterable[str]) -> set[str]:
    """List the raw and the URL-encoded forms of secrets; hexadecimal digits may have either case."""
    forms = set()
    for secret in secrets:
        quoted = {write(secret, safe="", errors="replace") for write in (quote, quote_plus)}
        forms |= {secret, *quoted, *(_HEX.sub(lambda found: found[0].lower(), form) for form in quoted)}
    return forms


class RedactingFilter(logging.Filter):
    """
    Redact every record, including its arguments, its traceback and its stack.

    The exception itself is dropped after its text is written, so that no handler formats it again.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place and return True."""
        record.msg, record.args = redact(_read_message(record)), None
        if record.exc_info and record.exc_info[1] is not None and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text, record.exc_info = redact(record.exc_text), None
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return True


def _read_message(record: logging.LogRecord) -> str:
    """Format the message of a record; a malformed record must not raise an error in the code that logs it."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return f"{record.msg} {record.args}"
