from __future__ import annotations

from airflow_provider_pushmetrics.receiver.housekeeping import Retention


def test_retention_without_limits_deletes_nothing() -> None:
    assert not Retention().is_limited()
    assert Retention(days=1).is_limited()
    assert Retention(events=1).is_limited()
