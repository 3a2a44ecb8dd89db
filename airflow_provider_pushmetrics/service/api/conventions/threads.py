"""Threads of their own for slow work: results, and the databases of reports. Other requests keep theirs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar

T = TypeVar("T")


@dataclass(frozen=True)
class ReservedThreads:
    """
    A maximum number of threads for one kind of work. What exceeds it waits without a thread.

    :param name: The kind of work.
    :param count: The maximum number in an event loop.
    """

    name: str
    count: int
    _limiter: RunVar[CapacityLimiter] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_limiter", RunVar(self.name))

    async def run(self, function: Callable[[], T]) -> T:
        """Call a function in one of the threads."""
        try:
            limiter = self._limiter.get()
        except LookupError:
            limiter = CapacityLimiter(self.count)
            self._limiter.set(limiter)
        return await to_thread.run_sync(function, limiter=limiter)


RESULT_THREADS = ReservedThreads("result threads", 16)
"""Read results: a folder or object storage may be slow."""

DATABASE_THREADS = ReservedThreads("database threads", 16)
"""Ask the databases of reports for their catalog, or whether they answer: one may be silent."""

LOOKUP_THREADS = ReservedThreads("lookup threads", 16)
"""Look up the servers of databases that are saved without a test: a name server may be silent too."""
