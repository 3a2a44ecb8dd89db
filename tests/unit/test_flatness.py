"""What the soak test of mixed load takes for growth."""

from __future__ import annotations

from dataclasses import replace

import psutil
import pytest

from tests.soak.flatness import PARTS, HeldResources, Sample

SAMPLES_OF_A_PART = 20
USUAL = Sample(mib=100, descriptors=20, threads=10, count=1)


def hold(*parts: Sample) -> HeldResources:
    """Make what a process has held, from one sample of each part."""
    samples = [part for part in parts for _ in range(SAMPLES_OF_A_PART)]
    return HeldResources("web", lambda: [psutil.Process()], samples)


def test_a_warm_up_and_a_single_peak_are_no_growth() -> None:
    held = hold(replace(USUAL, mib=10), *[USUAL] * (PARTS - 1))
    held.samples[-1] = replace(USUAL, mib=300, descriptors=90)
    assert held.find_growth() == []


@pytest.mark.parametrize("what", ["mib", "descriptors", "threads", "count"])
def test_what_grows_steadily_is_named(what: str) -> None:
    usual = getattr(USUAL, what)
    held = hold(*(replace(USUAL, **{what: usual + 2 * number}) for number in range(PARTS)))
    assert held.find_growth() == [f"web: {what} +8"]


def test_the_resources_of_a_process_are_read() -> None:
    held = hold(*[USUAL] * PARTS)
    held.read()
    newest = held.samples[-1]
    assert newest.mib > 1
    assert newest.descriptors > 0
    assert newest.threads > 0
    assert newest.count == 1
