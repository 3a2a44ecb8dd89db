"""The SHA-256 of a file, made beside the file."""

from __future__ import annotations

import hashlib
from queue import Queue
from threading import Thread
from types import TracebackType

MAX_PIECES = 8
"""How many pieces may wait to be hashed; whoever brings more waits too."""


class BackgroundDigest:
    """
    A SHA-256 that another core makes while the next piece is on its way.

    Hashing takes about as long as receiving and writing together (``benchmarks.provider``), and lets go of
    Python's lock meanwhile. It gives the same as ``hashlib.sha256``; leave the context before asking for it.
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
        """Take a piece, which must not change any more."""
        self._pieces.put(piece)

    def hexdigest(self) -> str:
        """Give the digest of all pieces."""
        return self._digest.hexdigest()

    def _work(self) -> None:
        while (piece := self._pieces.get()) is not None:
            self._digest.update(piece)
