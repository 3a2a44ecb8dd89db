from __future__ import annotations

from sqlalchemy.engine import make_url

from airflow_provider_pushmetrics.receiver.inbox.connection_timeouts import PostgresqlTimeouts

URL = make_url("postgresql+psycopg://u:p@host/db")


def test_silent_connections_are_noticed_and_locks_given_up() -> None:
    arguments = PostgresqlTimeouts().build_connect_args(URL)
    assert arguments == {
        "connect_timeout": 5,
        "tcp_user_timeout": 10_000,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "prepare_threshold": None,
    }
    assert PostgresqlTimeouts().list_session_timeouts(URL) == {
        "lock_timeout": 15,
        "idle_in_transaction_session_timeout": 30,
        "statement_timeout": 30,
    }


def test_what_the_url_says_goes_before() -> None:
    url = URL.update_query_dict({"connect_timeout": "60", "options": "-c lock_timeout=1 -c search_path=x"})
    assert "connect_timeout" not in PostgresqlTimeouts().build_connect_args(url)
    assert "lock_timeout" not in PostgresqlTimeouts().list_session_timeouts(url)
