"""Decode text literals of SQL, with values inserted."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError
from airflow_provider_pushmetrics.service.templates.lexer import MARK, Escapes, Token

CODED_PREFIXES = frozenset({"b", "x", "u&", "r", "rb", "br"})
"""Literals with these prefixes are bits, bytes or codes; no value can be inserted into them."""

BACKSLASH = re.compile(r"\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", re.DOTALL)
DECODED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "Z": "\x1a"}
SAME_EVERYWHERE = frozenset("'\"\\`nrt")
"""The letters of backslash escapes that mean the same in every dialect."""


def decode_text(sql: str, token: Token, values: Sequence[Any], known_escapes: frozenset[str]) -> Any:
    """
    Decode a text literal that has marks; a literal of one null is null.

    :param values: The values of all marks, by number.
    :param known_escapes: The letters of further backslash escapes in this dialect.
    :raises BlockTemplateError: if the text of the literal is ambiguous.
    """
    body = sql[token.body_start : token.body_end]
    if token.prefix in CODED_PREFIXES:
        raise BlockTemplateError(
            f"a {{{{ … }}}} is in {token.prefix.upper()}{token.quote}…{token.quote}:"
            " remove the quotes around it, and convert it with a function."
        )
    alone = MARK.fullmatch(body)
    if alone is not None and values[int(alone[1])] is None:
        return None
    decoded = _DECODE[token.escapes](body, token.quote, known_escapes)
    return MARK.sub(lambda mark: write_text(values[int(mark[1])]), decoded)


def write_text(value: Any) -> str:
    """
    Write a value as part of a text.

    :raises BlockTemplateError: if it is null or a list.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date | datetime | time):
        return str(value)
    if value is None:
        raise BlockTemplateError(
            "a {{ … }} inside a text literal is null: give it a value, such as"
            " {{ name | default('', true) }}."
        )
    raise BlockTemplateError(
        f"a {{{{ … }}}} inside a text literal is a {type(value).__name__}:"
        " it must be a text, a number or a date."
    )


def _decode_backslashes(body: str, quote: str, known: frozenset[str]) -> str:
    def decode(found: re.Match[str]) -> str:
        if found[0] == quote * 2:
            return quote
        letter = found[1]
        if letter == "\x00":
            raise BlockTemplateError("a backslash precedes a {{ … }}: write two backslashes, or none.")
        if letter[0] in "uU" and len(letter) > 1 and "u" in known:
            return _decode_code(int(letter[1:], 16))
        if letter[0] not in SAME_EVERYWHERE and letter[0] not in known:
            raise BlockTemplateError(
                f"a text with a {{{{ … }}}} has the escape \\{letter[0]}: write the character itself."
            )
        if letter in "%_":
            return found[0]  # in MySQL, LIKE reads these two escapes
        return DECODED.get(letter, letter)

    pattern = re.compile(f"{re.escape(quote * 2)}|{BACKSLASH.pattern}", re.DOTALL)
    return (pattern if len(quote) == 1 else BACKSLASH).sub(decode, body)


def _decode_code(code: int) -> str:
    if code == 0 or 0xD800 <= code <= 0xDFFF or code > 0x10FFFF:
        raise BlockTemplateError("a text with a {{ … }} has an escape that is not a valid character.")
    return chr(code)


_DECODE: Mapping[Escapes, Callable[[str, str, frozenset[str]], str]] = {
    Escapes.NONE: lambda body, quote, known: body,
    Escapes.DOUBLED: lambda body, quote, known: body.replace(quote * 2, quote),
    Escapes.BACKSLASH: _decode_backslashes,
}
