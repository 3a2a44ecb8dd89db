"""An object that is read in ranges."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class ObjectFile(io.RawIOBase):
    """
    A file of object storage, open for reading. Each read is a request for a range.

    :param file: The file of fsspec, without a cache.
    :param version: What changes when the object is replaced.
    :param attempt: Calls a function that asks the store, and translates its errors.
    """

    def __init__(self, file: Any, version: str, attempt: Callable[[Callable[[], bytes]], bytes]) -> None:
        self._file = file
        self._position = 0
        self._attempt = attempt
        self.size: int = file.size
        self.version = version

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """
        Read a range; less than asked for only at the end.

        :raises EOFError: if the store gives less.
        """
        rest = max(0, self.size - self._position)
        wanted = rest if size is None or size < 0 else min(size, rest)
        if not wanted:
            return b""
        start = self._position
        data = self._attempt(lambda: self._fetch(start, wanted))
        self._position += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _fetch(self, start: int, wanted: int) -> bytes:
        self._file.seek(start)
        data: bytes = self._file.read(wanted)
        if len(data) != wanted:
            raise ConnectionError(f"{len(data)} bytes came instead of {wanted}")
        return data

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
