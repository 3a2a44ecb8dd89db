"""Secret keys: a wrong one, and a new one for everything that is stored."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner, Result

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.accounts.authentication import Authenticator
from airflow_provider_pushmetrics.service.cli import app
from airflow_provider_pushmetrics.service.maintenance.secret_keys import (
    check_secrets,
    list_secret_columns,
    rotate_secrets,
)
from airflow_provider_pushmetrics.service.models import Base, ReportTrigger, RetiredSecret, Subscription
from airflow_provider_pushmetrics.service.models.base import SECRET
from airflow_provider_pushmetrics.service.runtime import assemble
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.encryption import Cipher
from airflow_provider_pushmetrics.service.webhooks.custom_headers import write_headers
from airflow_provider_pushmetrics.service.webhooks.subscriptions import rotate_secret
from tests.fakes.service_process import API_TOKEN, run_ready_service, run_service
from tests.fakes.service_reports import TRIGGER_TOKEN, make_report, text
from tests.fakes.service_subscriber import Subscriber, add_subscription
from tests.fakes.waiting import wait_until
from tests.integration.service.conftest import Api

OLD, NEW = "o" * 32, "n" * 32
SECRET_TEXT = "whsec_" + "A" * 32
KINDS = {
    "database URLs",
    "headers of subscriptions",
    "replaced signing secrets",
    "signing secrets",
    "trigger tokens",
}


@pytest.fixture
def filled(database: Database, tmp_path: Path) -> Database:
    """Give a database with secrets of every kind, encrypted with the old key; the others are many."""
    cipher = Cipher(OLD)
    for _ in range(3):
        make_report(database, cipher, tmp_path, note=text("hello"))
    add_subscription(database, cipher, "https://0.example.com", "report.run")
    with database.writing() as session:
        first = session.scalars(select(Subscription)).one()
        values = {"url": first.url, "events": first.events, "workspace_id": first.workspace_id}
        session.add_all(
            Subscription(name=str(number), secret_encrypted=cipher.encrypt(SECRET_TEXT), **values)
            for number in range(449)
        )
        write_headers(first, cipher, {"Authorization": "Bearer of-a-test"})
        rotate_secret(first, cipher, datetime.now(UTC))
    return database


def run_rotation(data_dir: Path, keys: str, url: str | None) -> Result:
    environment = {"PUSHMETRICS_SERVICE_SECRET_KEYS": keys, "PUSHMETRICS_SERVICE_DATABASE_URL": url or ""}
    return CliRunner().invoke(app, ["rotate-key", "--data", str(data_dir)], env=environment)


def count_readable(database: Database, cipher: Cipher) -> tuple[int, int]:
    """Count the stored secrets that a cipher decrypts, and all of them."""
    with database.reading() as session:
        columns = [select(column).where(column.is_not(None)) for column in list_secret_columns()]
        values = [value for column in columns for value in session.scalars(column)]
    return sum(map(cipher.can_decrypt, values)), len(values)


def test_every_encrypted_column_has_a_kind() -> None:
    encrypted = {
        column
        for table in Base.metadata.tables.values()
        for column in table.columns
        if "encrypted" in column.name
    }
    assert set(list_secret_columns()) == encrypted
    assert {column.info[SECRET] for column in encrypted} == KINDS


def test_rotation_encrypts_everything_and_can_be_repeated(
    filled: Database, tmp_path: Path, database_url: str | None
) -> None:
    first = run_rotation(tmp_path, f"{NEW},{OLD}", database_url)
    assert first.exit_code == 0, first.stderr
    assert first.stdout == (
        "Encrypted with the newest key now: 3 database URLs, 1 headers of subscriptions, 1 replaced signing"
        " secrets, 450 signing secrets, 3 trigger tokens.\nAll 458 stored secrets are encrypted with the"
        " newest key. The older keys can be removed, if every process of the service was started with the"
        " newest key first. A process that was not still encrypts with an older key: start it again, then run"
        " this command once more.\n"
    )
    assert count_readable(filled, Cipher(NEW)) == (458, 458)
    with filled.reading() as session:
        tokens = [Cipher(NEW).decrypt(row) for row in session.scalars(select(ReportTrigger.token_encrypted))]
    assert tokens == [TRIGGER_TOKEN] * 3
    again = run_rotation(tmp_path, NEW, database_url)
    assert again.exit_code == 0
    assert "now: 0 database URLs" in again.stdout


class Interrupted(Cipher):
    """Is interrupted after some secrets."""

    left = 220

    def encrypt_again(self, encrypted: str) -> str:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt
        return super().encrypt_again(encrypted)


def test_interrupted_rotation_loses_nothing_and_goes_on(filled: Database) -> None:
    with pytest.raises(KeyboardInterrupt):
        rotate_secrets(filled, Interrupted(NEW, OLD))
    done, total = count_readable(filled, Cipher(NEW))
    assert 0 < done < total
    assert count_readable(filled, Cipher(NEW, OLD)) == (458, 458)
    rest = rotate_secrets(filled, Cipher(NEW, OLD))
    assert (rest.rotated.total(), rest.left.total()) == (total - done, 0)


def test_secret_that_no_key_decrypts_keeps_the_old_keys(
    filled: Database, tmp_path: Path, database_url: str | None
) -> None:
    add_subscription(filled, Cipher("x" * 32), "https://x.example.com", "report.run")
    result = run_rotation(tmp_path, f"{NEW} {OLD}", database_url)
    assert result.exit_code == 1
    assert (
        "Not encrypted with it: 0 database URLs, 0 headers of subscriptions, 0 replaced signing secrets, 1"
        " signing secrets" in result.stderr
    )
    assert "Keep all older keys" in result.stderr
    assert "can be removed" not in result.output
    assert count_readable(filled, Cipher(NEW)) == (458, 459)


def test_secret_that_changes_meanwhile_keeps_its_new_value(filled: Database) -> None:
    new = Cipher(NEW, OLD)

    class Overtaken(Cipher):
        """Another process stores a new token after this one has read the old one."""

        def is_newest(self, encrypted: str) -> bool:
            if self.can_decrypt(encrypted) and self.decrypt(encrypted) == TRIGGER_TOKEN:
                with filled.writing() as session:
                    session.execute(update(ReportTrigger).values(token_encrypted=new.encrypt("changed")))
            return super().is_newest(encrypted)

    rotation = rotate_secrets(filled, Overtaken(NEW, OLD))
    assert (rotation.rotated["trigger tokens"], rotation.left.total()) == (0, 0)
    with filled.reading() as session:
        assert {new.decrypt(row) for row in session.scalars(select(ReportTrigger.token_encrypted))} == {
            "changed"
        }


def test_wrong_key_stops_the_start_with_a_sentence(
    filled: Database, tmp_path: Path, database_url: str | None
) -> None:
    parts = assemble(
        ServiceSettings(tmp_path, secret_keys=("x" * 32,), database_url=database_url, executes=False)
    )
    with pytest.raises(
        PushMetricsConfigurationError,
        match=r"cannot be decrypted \(3 database URLs, 1 headers .+, 3 trigger tokens\): .+ rotate-key",
    ):
        parts.prepare()
    parts.stop()


def test_replaced_secret_that_has_expired_needs_no_key(filled: Database) -> None:
    with filled.writing() as session:
        expired = datetime.now(UTC) - timedelta(seconds=1)
        unreadable = Cipher("x" * 32).encrypt(SECRET_TEXT)
        session.execute(update(RetiredSecret).values(expires_on=expired, secret_encrypted=unreadable))
    check_secrets(filled, Cipher(OLD))
    assert rotate_secrets(filled, Cipher(NEW, OLD)).left.total() == 0


async def test_secret_that_is_replaced_meanwhile_is_kept_as_the_rotation_stores_it(api: Api) -> None:
    if api.parts.database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    body = {"name": "s", "url": "https://example.com", "events": ["report.run"], "active": True}
    made = (await api.client.post("/api/v1/webhook_subscription/", json=body)).json()
    with api.parts.database.writing() as session:
        subscription = session.get_one(Subscription, made["id"], with_for_update=True)
        call = api.client.post(f"/api/v1/webhook_subscription/{made['id']}/rotate_secret")
        replacing = asyncio.create_task(call)
        done, _ = await asyncio.wait([replacing], timeout=1)
        assert not done, "it waits for the row"
        stored = api.parts.cipher.encrypt(SECRET_TEXT)
        subscription.secret_encrypted = stored
    assert (await replacing).status_code == 200
    with api.parts.database.reading() as session:
        assert session.scalars(select(RetiredSecret.secret_encrypted)).one() == stored


def test_session_outlasts_a_new_key_and_ends_with_its_own(database: Database) -> None:
    def open_authenticator(*keys: str) -> Authenticator:
        return Authenticator(database, Cipher(*keys), 900)

    principal = open_authenticator(OLD).find_token_owner(API_TOKEN)
    assert principal is not None
    session = open_authenticator(OLD).open_session(principal)
    assert open_authenticator(NEW, OLD).find_session(session) == principal
    renewed = open_authenticator(NEW, OLD).renew_session(session)
    assert open_authenticator(NEW).find_session(renewed) == principal
    assert open_authenticator(NEW).find_session(session) is None


def test_rotation_makes_no_service_where_none_is(tmp_path: Path) -> None:
    result = run_rotation(tmp_path / "other", NEW, None)
    assert result.exit_code == 1
    assert "there is no service in the folder" in result.stderr
    assert not (tmp_path / "other").exists()


def test_options_before_the_command_are_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--data", str(tmp_path), "rotate-key"])
    assert result.exit_code == 2
    assert "--data must stand after the command 'rotate-key'" in result.stderr


@pytest.mark.slow
def test_service_runs_on_while_its_key_is_rotated(tmp_path: Path, subscriber: Subscriber) -> None:
    data_dir, options = tmp_path / "data", ("--demo", "--allow-private-endpoints")
    key_file = data_dir / "secret-key"
    with run_ready_service(data_dir, *options) as service:
        token, old = service.find_trigger_token(), key_file.read_text()
        service.subscribe(subscriber.url)
    key_file.write_text(f"{NEW}\n{old}")
    with run_ready_service(data_dir, *options) as service:
        result = CliRunner().invoke(app, ["rotate-key", "--data", str(data_dir)])
        assert result.exit_code == 0, result.output
        assert "The older keys can be removed" in result.stdout
        assert service.find_trigger_token() == token
    key_file.write_text(NEW)
    with run_ready_service(data_dir, *options) as service:
        run_id = service.client.post(f"/api/v1/report/1/webhook?token={token}").json()["run_id"]
        assert subscriber.wait_for_run("report.run", run_id).event["report_id"] == 1
        wait_until(lambda: service.client.get(f"/api/reports/1/run/{run_id}").json()["status"] == "success")
    key_file.write_text(old)
    log = data_dir.with_suffix(".log")
    with run_service(data_dir, *options) as service:
        assert service.process.wait(timeout=120) == 1
    assert "stored secrets cannot be decrypted" in log.read_text()
    for secret in (token, old.strip(), NEW):
        assert secret not in log.read_text()
