"""The secret keys and the stored secrets: whether they fit, and the newest key for all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Row, select, update

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.models import Base
from airflow_provider_pushmetrics.service.models.base import SECRET
from airflow_provider_pushmetrics.service.storage.clock import CLOCK
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.encryption import WHERE_KEYS_ARE, Cipher

BATCH = 200
"""How many secrets are encrypted in one transaction, for which other writers wait on SQLite."""


@dataclass(frozen=True)
class Rotation:
    """
    What a rotation has done.

    :param rotated: How many secrets of each kind were encrypted with the newest key.
    :param total: How many secrets there are.
    :param left: How many secrets of each kind the newest key cannot decrypt afterwards.
    """

    rotated: Counter[str]
    total: int
    left: Counter[str]


def check_secrets(database: Database, cipher: Cipher) -> None:
    """
    Check that the keys decrypt every stored secret.

    :raises PushMetricsConfigurationError: if not.
    """
    unreadable = _count(database, lambda value: not cipher.can_decrypt(value))
    if unreadable.total():
        raise PushMetricsConfigurationError(
            f"stored secrets cannot be decrypted ({_list(unreadable)}): the secret key that encrypted them is"
            f" not in {WHERE_KEYS_ARE}. Add that key after the newest. An older key can be removed only after"
            " 'pushmetrics service rotate-key' says so."
        )


def rotate_secrets(database: Database, cipher: Cipher) -> Rotation:
    """
    Encrypt every stored secret with the newest key, in small transactions.

    A secret that another process changes meanwhile stays as that process stored it.
    """
    rotated: Counter[str] = Counter()
    for column in list_secret_columns():
        rotated[column.info[SECRET]] += sum(
            _rotate_batch(database, column, rows, cipher) for rows in _read_batches(database, column)
        )
    total = _count(database, lambda _: True).total()
    return Rotation(rotated, total, _count(database, lambda value: not cipher.is_newest(value)))


def describe_rotation(rotation: Rotation) -> str:
    """
    Describe a rotation, and whether older keys are still needed.

    :raises PushMetricsConfigurationError: if they are.
    """
    done = f"Encrypted with the newest key now: {_list(rotation.rotated)}."
    if rotation.left.total():
        raise PushMetricsConfigurationError(
            f"{done} Not encrypted with it: {_list(rotation.left)}. Keep all older keys. Either a process of"
            " the service still encrypts with an older key: start all processes again with the newest key"
            f" first. Or a secret's own key is not in {WHERE_KEYS_ARE}: add it. Then run this command again."
        )
    return (
        f"{done}\nAll {rotation.total} stored secrets are encrypted with the newest key. The older keys can"
        " be removed, if every process of the service was started with the newest key first. A process that"
        " was not still encrypts with an older key: start it again, then run this command once more."
    )


def list_secret_columns() -> Sequence[Column[Any]]:
    """List the columns that hold encrypted values."""
    return [
        column for table in Base.metadata.sorted_tables for column in table.columns if SECRET in column.info
    ]


def _rotate_batch(
    database: Database, column: Column[Any], rows: Sequence[Row[Any, Any]], cipher: Cipher
) -> int:
    old = [
        (row.id, row.value)
        for row in rows
        if not cipher.is_newest(row.value) and cipher.can_decrypt(row.value)
    ]
    if not old:
        return 0
    table = column.table
    with database.writing() as session:
        return sum(
            session.connection()
            .execute(
                update(table)
                .where(table.c.id == row_id, column == value)
                .values({column: cipher.encrypt_again(value)})
            )
            .rowcount
            for row_id, value in old
        )


def _count(database: Database, is_counted: Callable[[str], bool]) -> Counter[str]:
    """Count secrets of each kind."""
    counts: Counter[str] = Counter()
    for column in list_secret_columns():
        counts[column.info[SECRET]] += sum(
            is_counted(row.value) for rows in _read_batches(database, column) for row in rows
        )
    return counts


def _read_batches(database: Database, column: Column[Any]) -> Iterator[Sequence[Row[Any, Any]]]:
    """Read the ids and values of a column that have not expired, without a transaction that lasts."""
    ids, after = column.table.c.id, 0
    expires_on = column.table.c.get("expires_on")
    while True:
        query = select(ids, column.label("value")).where(ids > after, column.is_not(None))
        with database.reading() as session:
            if expires_on is not None:
                query = query.where(expires_on > CLOCK)
            rows = session.execute(query.order_by(ids).limit(BATCH)).all()
        if not rows:
            return
        yield rows
        after = rows[-1].id


def _list(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) or "nothing"
