"""The servers of the test kit, when one cannot start."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.receiver.settings import ReceiverSettings, SourceSettings
from airflow_provider_pushmetrics.testing.servers import run_receiver, run_service


def list_threads() -> set[threading.Thread]:
    """List the threads of servers, also of those that serve other tests."""
    return {thread for thread in threading.enumerate() if thread.name == "PushMetrics server"}


def test_receiver_that_cannot_open_its_inbox_is_an_error_and_leaves_no_thread(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/there/is/no/folder/inbox.db"
    settings = ReceiverSettings(url, (SourceSettings("demo", token="t"),), "r")
    access_log = logging.getLogger("uvicorn.access")
    was_disabled, others = access_log.disabled, list_threads()
    with pytest.raises(RuntimeError, match="the server did not start"), run_receiver(settings):
        pytest.fail("it has started")
    assert list_threads() <= others
    assert access_log.disabled is was_disabled


def test_service_whose_folder_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    others = list_threads()
    with (
        pytest.raises(PushMetricsConfigurationError, match="cannot be used"),
        run_service(tmp_path / "file"),
    ):
        pytest.fail("it has started")
    assert list_threads() <= others
