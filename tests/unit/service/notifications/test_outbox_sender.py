"""When a message is sent again."""

from __future__ import annotations

from airflow_provider_pushmetrics.exceptions import NotificationDelayedError, NotificationRefusedError
from airflow_provider_pushmetrics.service.notifications.outbox_sender import (
    MAX_RETRY_AFTER_SECONDS,
    MESSAGE_DELAYS_SECONDS,
    find_delay,
)


def test_server_may_ask_for_more_time_but_not_for_less_nor_for_ever() -> None:
    for asked, delay in ((None, 60.0), (1.0, 60.0), (600.0, 600.0), (1e9, MAX_RETRY_AFTER_SECONDS)):
        assert find_delay(NotificationDelayedError("busy", retry_after_seconds=asked), 1) == delay


def test_message_that_is_refused_or_was_tried_often_is_not_sent_again() -> None:
    assert find_delay(None, 1) is None
    assert find_delay(NotificationRefusedError("no such channel"), 1) is None
    assert find_delay(NotificationDelayedError("busy"), len(MESSAGE_DELAYS_SECONDS)) is None
