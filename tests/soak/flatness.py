"""What processes hold while they work: memory, descriptors and threads, read now and then."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

PARTS = 6
"""The first part is the warm-up; the second one is compared with the last."""

ALLOWED_SHARE, ALLOWED_MIB = 0.02, 4.0
"""
How much memory may grow from the second part to the last, by their medians: both of these together.

Caches fill and allocators keep what was freed: a few MiB, once. In the 20 minutes between the middles of
these parts of half an hour, the mixed load makes about 20,000 requests and 4,000 runs: 500 bytes that each
request loses, or 2 KiB of each run, are more.
"""

ALLOWED_DESCRIPTORS = 4
"""The same for descriptors: each caller has a connection or two, which may be open in one part only."""

ALLOWED_THREADS = 4
"""The same for threads, which pools start when they are needed, and keep."""


ALLOWED_PROCESSES = 3
"""The same for child processes: a worker keeps two, and has up to five while queries run side by side."""

LABELS = {"mib": "RSS in MiB", "descriptors": "descriptors", "threads": "threads", "count": "processes"}


@dataclass(frozen=True)
class Sample:
    """What the largest process of a kind holds at a moment, and how many there are."""

    mib: float
    descriptors: float
    threads: float
    count: float


@dataclass
class HeldResources:
    """
    What a kind of process holds over time.

    :param name: Of the kind.
    :param find: Finds its processes, which may be others each time.
    """

    name: str
    find: Callable[[], Iterable[psutil.Process]]
    samples: list[Sample] = field(default_factory=list)
    cores: float = 0.0
    _began: float = field(default_factory=time.monotonic)
    _cpu: dict[psutil.Process, tuple[float, float]] = field(default_factory=dict)

    def read(self) -> None:
        """Read it now."""
        held = list[tuple[int, int, int]]()
        for process in self.find():
            with suppress(psutil.NoSuchProcess), process.oneshot():  # one may just have ended
                held.append((process.memory_info().rss, process.num_fds(), process.num_threads()))
                now = sum(process.cpu_times()[:2])
                self._cpu[process] = (self._cpu.get(process, (now,))[0], now)
        memory, descriptors, threads = (max(column) for column in zip((0, 0, 0), *held, strict=True))
        self.samples.append(Sample(memory / 2**20, descriptors, threads, len(held)))
        used = sum(last - first for first, last in self._cpu.values())
        self.cores = used / (time.monotonic() - self._began)

    def describe(self) -> str:
        """Write its figures in a line: of the second part, of the last one, and the most."""
        figures = [f"{self.name}: {self.cores:.3f} cores"]
        for what, label in LABELS.items():
            second, last = (self._compute_median(what, part) for part in (1, PARTS - 1))
            most = max(getattr(one, what) for one in self.samples)
            figures.append(f"{label} {second:,.0f} to {last:,.0f} (most {most:,.0f})")
        return ", ".join(figures)

    def find_growth(self) -> list[str]:
        """Describe what has grown by more than is allowed."""
        allowed = {
            "mib": self._compute_median("mib", 1) * ALLOWED_SHARE + ALLOWED_MIB,
            "descriptors": ALLOWED_DESCRIPTORS,
            "threads": ALLOWED_THREADS,
            "count": ALLOWED_PROCESSES,
        }
        growths = {what: self._compute_growth(what) for what in allowed}
        return [
            f"{self.name}: {what} +{growths[what]:g}" for what in allowed if growths[what] > allowed[what]
        ]

    def _compute_growth(self, what: str) -> float:
        return self._compute_median(what, PARTS - 1) - self._compute_median(what, 1)

    def _compute_median(self, what: str, part: int) -> float:
        count = len(self.samples)
        chosen = self.samples[part * count // PARTS : (part + 1) * count // PARTS]
        return float(statistics.median(getattr(one, what) for one in chosen))
