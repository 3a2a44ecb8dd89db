"""Column types that mean the same on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect

from airflow_provider_pushmetrics.serving.columns import UtcDateTime

TOKYO = timezone(timedelta(hours=9))
DIALECTS: list[Dialect] = [sqlite.dialect(), postgresql.dialect()]  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_moment_of_another_zone_is_stored_in_utc(dialect: Dialect) -> None:
    stored = UtcDateTime().process_bind_param(datetime(2025, 6, 9, 1, tzinfo=TOKYO), dialect)
    assert stored is not None
    assert (stored.isoformat(), stored.tzinfo) == ("2025-06-08T16:00:00+00:00", UTC)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_moment_without_a_zone_is_refused(dialect: Dialect) -> None:
    with pytest.raises(ValueError, match="2025-06-09T01:00:00 has no zone"):
        UtcDateTime().process_bind_param(datetime(2025, 6, 9, 1), dialect)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_nothing_stays_nothing(dialect: Dialect) -> None:
    assert UtcDateTime().process_bind_param(None, dialect) is None
    assert UtcDateTime().process_result_value(None, dialect) is None


@given(st.datetimes(timezones=st.sampled_from([UTC, TOKYO]), min_value=datetime(1000, 1, 1)))
def test_moment_is_read_as_it_was_stored(moment: datetime) -> None:
    for dialect in DIALECTS:
        stored = UtcDateTime().process_bind_param(moment, dialect)
        assert stored is not None
        for given_back in (stored, stored.replace(tzinfo=None)):  # SQLite gives no zone
            assert UtcDateTime().process_result_value(given_back, dialect) == moment
