"""The memory that this process needs for a while."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import psutil


class PeakMemory:
    """Measures by how much this process grows at most in a block, also if it shrinks again."""

    def __enter__(self) -> PeakMemory:
        Path("/proc/self/clear_refs").write_text("5")
        self._before = psutil.Process().memory_info().rss
        self.growth_bytes = 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lines = Path("/proc/self/status").read_text().splitlines()
        peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
        self.growth_bytes = peak - self._before
