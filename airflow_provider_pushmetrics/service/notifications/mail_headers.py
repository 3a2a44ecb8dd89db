"""
The headers of a mail whose text comes from users: encoded once, here, and parsed by nobody.

A header that is assigned to an :class:`~email.message.EmailMessage` is parsed: an encoded word (RFC 2047)
in a name or a subject would be decoded, and written as headers or as another address; and spaces between
words get lost.
"""

from __future__ import annotations

from email.header import Header
from email.policy import EmailPolicy
from email.utils import formataddr
from typing import Any

MAX_WORD = 60
"""The length from which a word is encoded: a header is folded only between words."""


class EncodedHeader(str):
    """The text of a header as it goes over the wire, in lines."""


class MailPolicy(EmailPolicy):
    """Writes encoded headers as they are, and all others as Python does."""

    def header_store_parse(self, name: str, value: Any) -> tuple[str, Any]:
        """Keep an encoded header as it is."""
        return (name, value) if isinstance(value, EncodedHeader) else super().header_store_parse(name, value)

    def fold(self, name: str, value: Any) -> str:
        """Write a header."""
        is_encoded = isinstance(value, EncodedHeader)
        return f"{name}: {value}{self.linesep}" if is_encoded else super().fold(name, value)

    def fold_binary(self, name: str, value: Any) -> bytes:
        """Write a header."""
        is_encoded = isinstance(value, EncodedHeader)
        return self.fold(name, value).encode("ascii") if is_encoded else super().fold_binary(name, value)


MAIL = MailPolicy(linesep="\r\n")


def encode_subject(text: str) -> EncodedHeader:
    """Encode a text without line breaks."""
    return EncodedHeader(_encode("Subject", text))


def encode_address(header: str, name: str, address: str) -> EncodedHeader:
    """
    Encode a name and an address.

    :param header: The name of the header, whose length counts.
    :param name: A text without line breaks; empty without a name.
    :param address: In ASCII.
    """
    if _is_plain(name):
        return EncodedHeader(formataddr((name, address)))
    return EncodedHeader(f"{_encode(header, name)}{MAIL.linesep} <{address}>")


def _encode(header: str, text: str) -> str:
    charset = "us-ascii" if _is_plain(text) else "utf-8"
    return Header(text, charset, header_name=header).encode(linesep=MAIL.linesep)


def _is_plain(text: str) -> bool:
    """Return whether a text can be written as it is: short words of ASCII, none an encoded one."""
    are_short = not text or all(0 < len(word) < MAX_WORD for word in text.split(" "))
    return are_short and text.isascii() and "=?" not in text
