"""
Recipients: mail addresses and Slack channels.

The text of a block's author is split into entries before values are inserted, never after. One entry is one
recipient, so a value can never add another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError

MAX_ADDRESS_LENGTH = 254
MAX_DISPLAY_NAME_LENGTH = 255
MAX_SHOWN_ADDRESS_LENGTH = 254
LOCAL_DOMAINS = frozenset({"local", "localhost", "test"})

_SEPARATORS = re.compile(r"[,;\r\n]")
_TEMPLATE_ENDS = {"{{": "}}", "{%": "%}", "{#": "#}"}
_TOGETHER = re.compile(r"\"[^\"\r\n]*\"|<[^<>\r\n]*>")
"""Never split: a quoted name, an address in angle brackets; nor what a template has between its braces."""

_NAMED_ADDRESS = re.compile(r"([^<>]*)<([^<>]+)>\Z")
_CHANNEL = re.compile(r"[#@]?[^\s<>&,;#@\x00-\x1f\x7f]{1,80}\Z")


@dataclass(frozen=True)
class Recipient:
    """
    The recipient of a mail.

    :param address: In ASCII; other letters of the domain are in punycode.
    :param name: The display name; empty if there is none.
    """

    address: str
    name: str = ""

    def __str__(self) -> str:
        """Write it in the form that :func:`parse_recipient` reads."""
        name = f'"{self.name}"' if _SEPARATORS.search(self.name) else self.name
        return f"{name} <{self.address}>" if name else self.address


def split_recipients(text: str) -> list[str]:
    """Split a text at commas, semicolons and line breaks; not in ``{{ … }}``, in quotes or in ``<…>``."""
    entries, start, position = [], 0, 0
    # Each end is looked for once only when there is none: no text takes its length squared.
    missing: set[str] = set()
    while position < len(text):
        end = _TEMPLATE_ENDS.get(text[position : position + 2])
        if end is not None and end not in missing:
            found = text.find(end, position + 2)
            if found >= 0:
                position = found + len(end)
                continue
            missing.add(end)
        whole = _TOGETHER.match(text, position)
        if whole is not None:
            position = whole.end()
            continue
        if _SEPARATORS.match(text, position):
            entries.append(text[start:position])
            start = position + 1
        position += 1
    return [entry for one in [*entries, text[start:]] if (entry := one.strip())]


def parse_recipient(text: str) -> Recipient:
    """
    Parse one mail address, ``name@example.com`` or ``Name <name@example.com>``.

    :raises PushMetricsParameterError: if it is not one address.
    """
    named = _NAMED_ADDRESS.match(text.strip())
    if named is None:
        return Recipient(check_address(text.strip()))
    name = named[1].replace('"', "").strip()[:MAX_DISPLAY_NAME_LENGTH]
    if not name.isprintable():
        raise PushMetricsParameterError(_refuse(text))
    return Recipient(check_address(named[2].strip()), name)


def check_address(text: str) -> str:
    """
    Check one mail address without a name, and return it in ASCII.

    A domain may have any letters and is sent in punycode. Before the ``@`` only ASCII is accepted, since
    other letters need SMTPUTF8, which few mail servers have.

    :raises PushMetricsParameterError: if it is none, or more than one.
    """
    # The library rejects these domains; here the mail server decides.
    suffix = ".example" if text.rpartition("@")[2].rpartition(".")[2].lower() in LOCAL_DOMAINS else ""
    try:
        found = validate_email(
            text + suffix, check_deliverability=False, allow_smtputf8=False, globally_deliverable=False
        )
    except (EmailNotValidError, UnicodeError) as error:
        raise PushMetricsParameterError(_refuse(text)) from error
    if found.ascii_email is None or len(found.ascii_email) > MAX_ADDRESS_LENGTH:
        raise PushMetricsParameterError(_refuse(text))
    return found.ascii_email.removesuffix(suffix)


def unique_recipients(recipients: Iterable[Recipient]) -> list[Recipient]:
    """Remove addresses that differ from an earlier one only in case."""
    unique: dict[str, Recipient] = {}
    for recipient in recipients:
        unique.setdefault(recipient.address.casefold(), recipient)
    return list(unique.values())


def unique_channels(channels: Iterable[str]) -> list[str]:
    """Remove channels that differ from an earlier one only in the ``#``, which may be left out."""
    unique: dict[str, str] = {}
    for channel in channels:
        unique.setdefault(channel.removeprefix("#"), channel)
    return list(unique.values())


def check_channel(text: str) -> str:
    """
    Check one Slack channel: its name, with or without ``#``, or its id.

    :raises PushMetricsParameterError: if it is none, or more than one.
    """
    if not _CHANNEL.match(text):
        raise PushMetricsParameterError(
            f"{text[:MAX_SHOWN_ADDRESS_LENGTH]!r} is not a Slack channel: it must look like '#sales'"
            " or 'C024BE91L'."
        )
    return text


def check_entries(entries: list[str], check: Callable[[str], object]) -> list[str]:
    """
    Split the recipients of a block into entries, and check those that are not templates.

    :raises PushMetricsParameterError: if one is invalid.
    """
    split = [one for entry in entries for one in split_recipients(entry)]
    for entry in split:
        if "{{" not in entry and "{%" not in entry:  # a template is checked when it is rendered
            check(entry)
    return split


def _refuse(text: str) -> str:
    return f"{text[:MAX_SHOWN_ADDRESS_LENGTH]!r} is not a mail address: it must look like 'name@example.com'."
