"""Short ids for URLs, in the format of PushMetrics: letters and digits, no hyphen."""

from __future__ import annotations

import secrets
import string
import uuid

LETTERS = string.ascii_letters
LETTERS_AND_DIGITS = string.ascii_letters + string.digits

RANDOM = secrets.SystemRandom()

UID_LENGTH = 12
MAX_INTEGER_ID = 2**31 - 1
"""The largest id of PostgreSQL's integer columns."""

MAX_ID_DIGITS = 18
"""More digits do not fit the databases' 64-bit integers."""


def generate_uid() -> str:
    """Generate a uid; it begins with a letter, so that it differs from an integer id."""
    # Of the system's generator. A choice at a time takes four times as long, and each run has eight uids.
    return RANDOM.choice(LETTERS) + "".join(RANDOM.choices(LETTERS_AND_DIGITS, k=UID_LENGTH - 1))


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
