from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from airflow_provider_pushmetrics.receiver.endpoints.access import (
    AGES,
    MAX_GIVEN_UP,
    Access,
    Ages,
    Authenticators,
    CurrentAccess,
)
from airflow_provider_pushmetrics.receiver.endpoints.limits import check_rate
from airflow_provider_pushmetrics.receiver.endpoints.request_head import RequestHead
from airflow_provider_pushmetrics.receiver.errors import TooManyRequests, Unauthorized, Unavailable
from airflow_provider_pushmetrics.receiver.settings import SourceSettings
from tests.fakes.clock import Clock

BODY = b'{"event": "x"}'


class Backend:
    """A secrets backend: the test changes the token, lets it fail, or lets it hang."""

    def __init__(self) -> None:
        self.token = "old"
        self.fault: Exception | None = None
        self.answers = threading.Event()
        self.answers.set()
        self.reads = 0

    def read(self) -> Access:
        self.reads += 1
        assert self.answers.wait(120)
        if self.fault is not None:
            raise self.fault
        return build_access(self.token)


def build_access(token: str, **kwargs: int) -> Access:
    return Access((SourceSettings("demo", token=token, **kwargs),), f"reader-{token}")  # type: ignore[arg-type]


def authenticates(gates: Authenticators, token: str) -> bool:
    try:
        gates.senders.authenticate("demo", RequestHead({}, f"token={token}".encode()), BODY)
        gates.reader.authenticate(RequestHead({}, b"", (f"Bearer reader-{token}".encode(),)))
    except Unauthorized:
        return False
    return True


async def turn_until(is_true: Callable[[], bool]) -> None:
    """Let the event loop turn while another thread works."""
    deadline = time.monotonic() + 120
    while not is_true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0)


@pytest.fixture(name="clock")
def make_clock() -> Clock:
    return Clock()


@pytest.fixture(name="backend")
def make_backend() -> Backend:
    return Backend()


@pytest.fixture(name="current")
def make_current(clock: Clock, backend: Backend) -> CurrentAccess:
    return CurrentAccess(build_access("old"), backend.read, clock=clock)


async def test_credentials_that_never_change_are_not_read_again(clock: Clock) -> None:
    current = CurrentAccess(build_access("old"), clock=clock)
    clock.now += 10 * AGES.discard
    assert authenticates(await current.get(), "old")


async def test_young_credentials_are_not_read_again(
    clock: Clock, backend: Backend, current: CurrentAccess
) -> None:
    clock.now += AGES.refresh - 1
    assert authenticates(await current.get(), "old")
    assert backend.reads == 0


async def test_a_replaced_credential_is_refused_within_a_minute_also_after_a_long_rest(
    clock: Clock, backend: Backend, current: CurrentAccess
) -> None:
    backend.token = "new"
    clock.now += 59
    gates = await current.get()
    assert (authenticates(gates, "old"), authenticates(gates, "new")) == (False, True)
    assert backend.reads == 1


async def test_credentials_are_read_beside_the_requests(
    clock: Clock, backend: Backend, current: CurrentAccess
) -> None:
    backend.token = "new"
    backend.answers.clear()
    clock.now += AGES.refresh
    for _ in range(20):
        assert authenticates(await current.get(), "old")
    assert backend.reads == 1
    backend.answers.set()
    await turn_until(lambda: authenticates(current.gates, "new"))


async def test_many_requests_that_must_wait_read_once_and_leave_the_event_loop_to_others(
    clock: Clock, backend: Backend, current: CurrentAccess
) -> None:
    backend.token = "new"
    backend.answers.clear()
    clock.now += AGES.wait
    waiting = [asyncio.create_task(current.get()) for _ in range(20)]
    await asyncio.sleep(0)
    await turn_until(lambda: backend.reads == 1)
    backend.answers.set()
    assert all(authenticates(gates, "new") for gates in await asyncio.gather(*waiting))
    assert backend.reads == 1


async def test_what_was_known_last_counts_for_an_hour_if_nothing_can_be_read(
    clock: Clock, backend: Backend, current: CurrentAccess, caplog: pytest.LogCaptureFixture
) -> None:
    backend.fault = OSError("password=s3cret")
    for _ in range(59):
        clock.now += 60
        assert authenticates(await current.get(), "old")
    clock.now += 120
    with pytest.raises(Unavailable, match="cannot be read now"):
        await current.get()
    assert "cannot be read: OSError" in caplog.text
    assert "s3cret" not in caplog.text
    backend.fault, backend.token = None, "new"
    clock.now += AGES.refresh
    assert authenticates(await current.get(), "new")


async def test_the_hour_begins_with_the_outage_and_not_with_the_last_request(
    clock: Clock, backend: Backend, current: CurrentAccess
) -> None:
    clock.now += 2 * AGES.discard
    backend.fault = OSError()
    assert authenticates(await current.get(), "old")
    clock.now += AGES.discard - 1
    assert authenticates(await current.get(), "old")
    clock.now += AGES.refresh
    with pytest.raises(Unavailable):
        await current.get()


async def test_a_reading_that_takes_long_after_a_rest_is_no_outage(clock: Clock) -> None:
    backend = HangingBackend()
    ages = Ages(patience=0.0)
    current = CurrentAccess(build_access("old"), backend.read, ages=ages, clock=clock)
    clock.now += 2 * AGES.discard
    assert authenticates(await current.get(), "old")
    await turn_until(lambda: backend.has_begun(1))
    backend.end(0, "new")
    await turn_until(lambda: authenticates(current.gates, "new"))


async def test_a_replaced_credential_is_known_without_a_request(clock: Clock, backend: Backend) -> None:
    ages = Ages(background=0.01)
    current = CurrentAccess(build_access("old"), backend.read, ages=ages, clock=clock)
    backend.token = "new"
    clock.now += AGES.refresh
    await turn_until(lambda: authenticates(current.gates, "new"))


async def test_a_backend_that_fails_is_asked_as_rarely_as_one_that_works(
    clock: Clock, backend: Backend, current: CurrentAccess
) -> None:
    backend.fault = OSError()
    clock.now += AGES.wait
    for _ in range(50):
        await current.get()
    assert backend.reads == 1


async def test_an_unchanged_credential_builds_nothing_anew(
    clock: Clock, backend: Backend, current: CurrentAccess
) -> None:
    before = current.gates
    clock.now += AGES.wait
    assert await current.get() is before
    assert backend.reads == 1


async def test_a_fork_reads_for_itself(clock: Clock, backend: Backend, current: CurrentAccess) -> None:
    backend.answers.clear()
    clock.now += AGES.refresh
    await current.get()
    current._process = os.getpid() + 1  # what a child of a fork finds
    clock.now += AGES.wait
    waiting = asyncio.create_task(current.get())
    await turn_until(lambda: backend.reads == 2)
    backend.answers.set()
    await waiting


class HangingBackend:
    """A secrets backend each of whose readings hangs until the test ends it, by its number."""

    def __init__(self) -> None:
        self.begun: list[threading.Event] = []
        self.answers: list[str] = []

    def read(self) -> Access:
        number = len(self.begun)
        self.begun.append(threading.Event())
        self.answers.append("old")
        assert self.begun[number].wait(120)
        return build_access(self.answers[number])

    def has_begun(self, count: int) -> bool:
        return len(self.begun) == count

    def end(self, number: int, token: str) -> None:
        self.answers[number] = token
        self.begun[number].set()


async def test_reading_that_hangs_is_given_up_and_its_late_end_changes_nothing(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    backend = HangingBackend()
    current = CurrentAccess(build_access("old"), backend.read, ages=Ages(patience=0.01), clock=clock)
    clock.now += AGES.refresh
    await current.get()
    await turn_until(lambda: len(backend.begun) == 1)
    clock.now += AGES.give_up
    await asyncio.wait_for(current.get(), 120)  # waits in vain for the second
    await turn_until(lambda: len(backend.begun) == 2)
    assert "has not ended after 60 s" in caplog.text
    backend.end(1, "new")
    await turn_until(lambda: authenticates(current.gates, "new"))
    backend.end(0, "older")
    await turn_until(lambda: current._given_up == 0)
    assert authenticates(current.gates, "new")
    clock.now += AGES.refresh
    await current.get()
    await turn_until(lambda: len(backend.begun) == 3)
    backend.end(2, "newest")
    await turn_until(lambda: authenticates(current.gates, "newest"))


async def test_only_a_few_readings_may_hang(clock: Clock) -> None:
    backend = HangingBackend()
    ages = Ages(wait=AGES.discard)  # no request waits
    current = CurrentAccess(build_access("old"), backend.read, ages=ages, clock=clock)
    clock.now += AGES.refresh
    for number in range(1, MAX_GIVEN_UP + 5):
        await current.get()
        await turn_until(partial(backend.has_begun, min(number, MAX_GIVEN_UP + 1)))
        clock.now += AGES.give_up
    backend.end(0, "first")
    await turn_until(lambda: current._given_up == MAX_GIVEN_UP - 1)  # its thread has ended
    assert authenticates(current.gates, "first")
    await current.get()
    await turn_until(lambda: len(backend.begun) == MAX_GIVEN_UP + 2)
    for number in range(1, MAX_GIVEN_UP + 2):
        backend.end(number, "last")


async def test_request_does_not_wait_for_a_reading_that_has_hung_for_long(clock: Clock) -> None:
    backend = HangingBackend()
    ages = Ages(patience=600, give_up=1e9)
    current = CurrentAccess(build_access("old"), backend.read, ages=ages, clock=clock)
    clock.now += AGES.refresh
    await current.get()
    await turn_until(lambda: len(backend.begun) == 1)
    clock.now += 601
    assert authenticates(await asyncio.wait_for(current.get(), 120), "old")
    backend.end(0, "old")


def test_a_limit_of_deliveries_outlasts_a_change_of_the_token() -> None:
    before = Authenticators(build_access("old", rate_per_minute=1))
    check_rate(before.rates["demo"])
    with pytest.raises(TooManyRequests):
        check_rate(Authenticators(build_access("new", rate_per_minute=1), before).rates["demo"])
    check_rate(Authenticators(build_access("new", rate_per_minute=2), before).rates["demo"])
