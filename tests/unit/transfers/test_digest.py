from __future__ import annotations

import hashlib
import threading

import pytest

from airflow_provider_pushmetrics.transfers.digest import MAX_PIECES, BackgroundDigest


@pytest.mark.parametrize("count", [0, 1, MAX_PIECES * 5])
def test_it_gives_the_same_as_hashing_at_once(count: int) -> None:
    pieces = [bytes([number % 256]) * 10_000 for number in range(count)]
    with BackgroundDigest() as digest:
        for piece in pieces:
            digest.update(piece)
    assert digest.hexdigest() == hashlib.sha256(b"".join(pieces)).hexdigest()


def break_off() -> None:
    with BackgroundDigest() as digest:
        digest.update(b"a piece")
        raise OSError("disk full")


def test_no_thread_is_left_when_the_file_breaks_off() -> None:
    with pytest.raises(OSError, match="disk full"):
        break_off()
    assert "pushmetrics-digest" not in {thread.name for thread in threading.enumerate()}
