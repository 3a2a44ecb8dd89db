from __future__ import annotations

import signal

import pytest

from demo.errors import Interrupted, ignore_signals, interruptible


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_block_and_is_no_failure(number: signal.Signals) -> None:
    with pytest.raises(Interrupted, match=number.name) as raised, interruptible():
        signal.raise_signal(number)
    assert raised.value.signal_number == number
    assert not isinstance(raised.value, Exception)


def test_a_signal_that_was_ignored_before_ends_the_block_too() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(Interrupted), interruptible():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_second_signal_does_not_interrupt_the_cleanup() -> None:
    def work() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted, match="SIGTERM"), interruptible():
        work()


def test_signals_can_be_ignored_and_the_handlers_of_before_are_back_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with interruptible():
        ignore_signals()
        signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGTERM) == before
