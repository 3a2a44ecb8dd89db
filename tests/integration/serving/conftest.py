from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy.engine import URL, make_url

from tests.fakes.pgbouncer import find_pgbouncer, run_pgbouncer


@pytest.fixture
def pooled_url(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[URL]:
    """Give the URL of the test's database behind PgBouncer."""
    server = make_url(postgres_url)
    if find_pgbouncer() is None or "host" not in server.query:
        pytest.skip("needs pgbouncer (Debian: pgbouncer), and a server that listens on a socket")
    with run_pgbouncer(server, tmp_path_factory.mktemp("pgbouncer")) as url:
        yield url
