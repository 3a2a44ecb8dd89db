from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from airflow_provider_pushmetrics.receiver.inbox.cleanup import InboxCleanup
from airflow_provider_pushmetrics.receiver.inbox.rejections import RejectionLog
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox


class FaultyRejections(RejectionLog):
    """Fails at its first use."""

    def __init__(self) -> None:
        super().__init__()
        self.was_used_again = threading.Event()
        self._uses = 0

    def drain(self) -> Any:
        self._uses += 1
        if self._uses == 1:
            raise RuntimeError("nobody thought of it")
        self.was_used_again.set()
        return super().drain()


def test_fault_does_not_end_the_housekeeper(caplog: pytest.LogCaptureFixture) -> None:
    rejections = FaultyRejections()
    inbox = cast("Inbox", None)  # nothing was refused and nothing is deleted: it is not asked
    cleanup = InboxCleanup(inbox, rejections, None, interval_seconds=0.001)
    assert rejections.was_used_again.wait(120)
    cleanup.close()
    assert "retrying: RuntimeError" in caplog.text
