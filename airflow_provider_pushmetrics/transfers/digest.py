"""The SHA-256 of a file, computed while the file is written."""

from __future__ import annotations

import hashlib
from queue import Queue
from threading import Thread
from types import TracebackType

MAX_PIECES = 8
"""How many pieces may wait to be hashed; ``update`` blocks when there are more."""


class BackgroundDigest:
    """
    A SHA-256 that another core computes while the next piece is received.

    Hashing takes about as long as receiving and writing together (``benchmarks.provider``), and releases
    Python's lock meanwhile. The digest is that of ``hashlib.sha256``; leave the context before reading it.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._pieces: Queue[bytes | None] = Queue(MAX_PIECES)
        self._worker = Thread(target=self._work, name="pushmetrics-digest", daemon=True)

    def __enter__(self) -> BackgroundDigest:
        """Begin."""
        self._worker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until all pieces are hashed."""
        self._pieces.put(None)
        self._worker.join()

    def update(self, piece: bytes) -> None:
        """Add a piece, which must not change afterwards."""
        self._pieces.put(piece)

    def hexdigest(self) -> str:
        """Return the digest of all pieces."""
        return self._digest.hexdigest()

    def _work(self) -> None:
        while (piece := self._pieces.get()) is not None:
            self._digest.update(piece)
