from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from demo.errors import SIGNALS, Interrupted, raise_at_signals


@pytest.fixture(autouse=True)
def restore_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_demo_even_if_it_was_ignored_and_a_second_one_does_nothing(
    number: signal.Signals,
) -> None:
    signal.signal(number, signal.SIG_IGN)
    raise_at_signals()

    def work() -> None:
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted) as raised:
        work()
    assert raised.value.args == (number,)
    assert not isinstance(raised.value, Exception)
