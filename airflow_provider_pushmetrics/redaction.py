"""
Take tokens out of text that people will read: URLs, log lines, error messages.

The trigger's token rides in a URL, so whatever prints a URL prints a token, unless it goes through here
first.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
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


MIN_SECRET_LENGTH = 4

_BEFORE_PASSWORD = r"""((?:password|passwd|pwd|secret|token|identified by)["']?(?:\s*[=:]\s*["']?|\s+["']))"""
"""How messages write passwords outside of URLs, where they are taken out in any case."""

_HEX = re.compile(r"%[0-9A-F]{2}")


def redact(text: str, *known_secrets: str | None) -> str:
    """
    Replace what looks like a credential, and each of the secrets given, by ``***``.

    :param text: What is about to be logged or raised.
    :param known_secrets: Secrets to take out wherever they stand, as they are and URL-quoted. One of fewer
        than ``MIN_SECRET_LENGTH`` characters is taken out only where a password is written: elsewhere it is
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


def _join_forms(secrets: Iterable[str]) -> str:
    """Make the expression for secrets; the whole of one is tried before its beginning."""
    return "|".join(map(re.escape, sorted(_list_forms(secrets), key=len, reverse=True)))


def _list_forms(secrets: Iterable[str]) -> set[str]:
    """List how secrets look as they are and in URLs, where hexadecimal digits come in either case."""
    forms = set()
    for secret in secrets:
        quoted = {write(secret, safe="", errors="replace") for write in (quote, quote_plus)}
        forms |= {secret, *quoted, *(_HEX.sub(lambda found: found[0].lower(), form) for form in quoted)}
    return forms


class RedactingFilter(logging.Filter):
    """
    Redact every record that passes, its arguments, its traceback and its stack included.

    The exception itself is dropped once its text is written down, so that no handler formats it anew.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place and let it pass."""
        record.msg, record.args = redact(_read_message(record)), None
        if record.exc_info and record.exc_info[1] is not None and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text, record.exc_info = redact(record.exc_text), None
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return True


def _read_message(record: logging.LogRecord) -> str:
    """Read what a record says; a filter that raised for a malformed one would break who logs it."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return f"{record.msg} {record.args}"
