"""Short ids for URLs, in the format of PushMetrics: letters and digits, no hyphen."""

from __future__ import annotations

import secrets
import string
import uuid

LETTERS = string.ascii_letters
LETTERS_AND_DIGITS = string.ascii_letters + string.digits

UID_LENGTH = 12
UIDS = len(LETTERS) * len(LETTERS_AND_DIGITS) ** (UID_LENGTH - 1)
"""How many there are."""

MAX_INTEGER_ID = 2**31 - 1
"""The largest id of PostgreSQL's integer columns."""

MAX_ID_DIGITS = 18
"""More digits do not fit the databases' 64-bit integers."""


def generate_uid() -> str:
    """Generate a uid; it begins with a letter, so that it differs from an integer id."""
    # One number of the system's generator. A choice at a time takes much longer, and each run has eight uids.
    number, letter = divmod(secrets.randbelow(UIDS), len(LETTERS))
    characters = [LETTERS[letter]]
    for _ in range(UID_LENGTH - 1):
        number, character = divmod(number, len(LETTERS_AND_DIGITS))
        characters.append(LETTERS_AND_DIGITS[character])
    return "".join(characters)


def generate_flow_run_id() -> str:
    """Generate the UUID of one attempt at a run."""
    return str(uuid.uuid4())


def parse_id(reference: str) -> int | None:
    """Parse an integer id in a path segment; None if it is not one, and so may be a uid."""
    if reference.isascii() and reference.isdigit() and len(reference) <= MAX_ID_DIGITS:
        return int(reference)
    return None


def is_uid(reference: str) -> bool:
    """Return whether a path segment may be a uid."""
    return reference.isascii() and reference.isalnum()
