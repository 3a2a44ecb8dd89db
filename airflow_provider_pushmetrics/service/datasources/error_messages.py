"""Error messages of databases, without the paths of the service's files."""

from __future__ import annotations

import re

PATH = re.compile(
    r"""
    (?<![\w:/.*)\]>-])          # not in a URL, in a longer path, or after an operand of a division
    (?:file:(?://)?)?
    /(?:[A-Za-z0-9_.][^\s/'"`:;,()\[\]<>|]+/)+   # two folders or one, and
    ([^\s/'"`:;,()\[\]<>|]*)    # the name, which stays
    """,
    re.VERBOSE,
)
QUOTED_PATH = re.compile(
    r"""(?P<quote>["'`])(?:file:(?://)?)?/(?:[^"'`\n/]+/)+(?P<name>[^"'`\n/]*)(?P=quote)"""
)


def hide_paths(text: str) -> str:
    """
    Shorten the absolute paths in a message to the names of their files.

    A quoted path may have spaces in it; another one ends at the first.
    """
    text = QUOTED_PATH.sub(r"\g<quote>\g<name>\g<quote>", text)
    return PATH.sub(r"\1", text)
