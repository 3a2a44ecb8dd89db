from __future__ import annotations

import signal

import pytest

from airflow_provider_pushmetrics.demo.processes.signals import Interrupted, ignore_signals, interruptible


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_block(number: signal.Signals) -> None:
    with pytest.raises(Interrupted, match=number.name) as raised, interruptible():
        signal.raise_signal(number)
    assert raised.value.signal_number == number


def test_a_signal_that_was_ignored_before_ends_the_block_too() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(Interrupted), interruptible():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_second_signal_does_not_break_off_the_cleaning_up() -> None:
    cleaned_up = False

    def work() -> None:
        nonlocal cleaned_up
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGINT)
            cleaned_up = True

    with pytest.raises(Interrupted, match="SIGTERM"), interruptible():
        work()
    assert cleaned_up


def test_signals_can_be_ignored_while_cleaning_up() -> None:
    with interruptible():
        ignore_signals()
        signal.raise_signal(signal.SIGHUP)


def test_the_handlers_of_before_are_back_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with interruptible():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_an_interruption_is_not_taken_for_a_failure() -> None:
    assert not issubclass(Interrupted, Exception)
