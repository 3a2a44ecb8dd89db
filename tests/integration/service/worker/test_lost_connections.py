"""The connection to the database is lost at every statement in turn, before it is executed or after."""

from __future__ import annotations

import asyncio
import re
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import joinedload

from airflow_provider_pushmetrics.service.app import build_app
from airflow_provider_pushmetrics.service.models import (
    BlockResult,
    Delivery,
    OutboxEvent,
    OutgoingMessage,
    ReportSchedule,
    Run,
)
from airflow_provider_pushmetrics.service.notifications.settings import Security, SmtpSettings
from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.storage.database import Database
from tests.fakes.fault_proxy import MOMENTS, Cut, FaultProxy, Statement, choose_all
from tests.fakes.mail_server import MailServer, serve_mail_in_thread
from tests.fakes.postgres import make_database
from tests.fakes.service_reports import TRIGGER_TOKEN, make_report, sql
from tests.fakes.service_subscriber import Subscriber, listen
from tests.fakes.waiting import until
from tests.integration.service.conftest import open_client, run_parts

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

UNANSWERED = {503}
"""What a caller is told who does not know whether it was done: try again."""

IDLE_SECONDS = 3.0
"""Longer than a heartbeat and a look for lost work take turns."""

TRIES = 3
"""How often a statement is waited for that is sent at some times only, such as when two workers meet."""

HEARTBEAT = re.compile(r"\b(FROM|UPDATE|INTO) worker\b")
WRITTEN = re.compile(r"\b(INSERT INTO|DELETE FROM|UPDATE(?= \w+ SET)) (\w+)")
READ = re.compile(r"\b(FROM) (\w+)")


@dataclass(frozen=True)
class Service:
    """
    A service behind the proxy.

    :param database: The same database without the proxy.
    """

    client: httpx.AsyncClient
    database: Database
    proxy: FaultProxy
    subscriber: Subscriber
    mail: MailServer
    report_id: int

    async def trigger(self, key: str) -> int:
        """Call the trigger until it answers, as a client does, and give the run."""
        url = f"/api/v1/report/{self.report_id}/webhook?token={TRIGGER_TOKEN}"
        for _ in range(5):
            answer = await self.client.post(url, headers={"Idempotency-Key": key})
            if answer.status_code == 200:
                run_id: int = answer.json()["run_id"]
                (run,) = self.read(Run, Run.idempotency_key == key)
                assert run.id == run_id, "what was accepted is stored, once"
                return run_id
            assert answer.status_code in UNANSWERED, answer.text
        raise AssertionError("it is never accepted")

    def read(self, kind: type[Any], *conditions: Any, **options: Any) -> list[Any]:
        with self.database.reading() as session:
            return list(session.scalars(select(kind).where(*conditions).options(*options.values())))

    def is_settled(self, run_id: int) -> bool:
        """Return whether a run has ended, its event is delivered and its mail sent."""
        (run,) = self.read(Run, Run.id == run_id)
        sent = self.find_deliveries(run_id) + self.find_mails(run_id) if run.finished_on is not None else []
        return bool(sent) and all(one.finished_on is not None and one.worker_id is None for one in sent)

    def find_deliveries(self, run_id: int) -> list[Delivery]:
        about = OutboxEvent.body.contains(f'/run/{run_id}"')
        return self.read(Delivery, Delivery.outbox_event.has(about), event=joinedload(Delivery.outbox_event))

    def find_mails(self, run_id: int) -> list[OutgoingMessage]:
        results = select(BlockResult.id).where(BlockResult.run_id == run_id)
        return self.read(OutgoingMessage, OutgoingMessage.block_result_id.in_(results))

    async def check(self, run_id: int) -> None:
        """Check that a run was executed, with the right result, and its event and mail sent, all once."""
        (run,) = self.read(Run, Run.id == run_id)
        assert (run.status, run.error) == ("success", None)
        results = self.read(BlockResult, BlockResult.run_id == run_id)
        assert sorted((one.name, one.status) for one in results) == [
            ("first", "success"),
            ("last", "success"),
            ("tell", "success"),
        ]
        outputs = (await self.client.get(f"/api/reports/{self.report_id}/run/{run_id}")).json()
        rows = [(await self.client.get(query["query_result"])).json()["data"] for query in outputs["queries"]]
        assert rows == [[{"n": 7}], [{"n": 8}]]
        (event,) = self.read(OutboxEvent, OutboxEvent.body.contains(f'/run/{run_id}"'))
        (delivery,) = self.find_deliveries(run_id)
        assert delivery.status == "delivered"
        received = [one for one in self.subscriber.received if f'/run/{run_id}"'.encode() in one.body]
        assert [one.headers["webhook-id"] for one in received] == [event.uid]
        (mail,) = self.find_mails(run_id)
        assert mail.status == "sent"
        assert [str(one["Message-ID"]) for one in self.mail.taken].count(f"<{mail.uid}@example.com>") == 1


@asynccontextmanager
async def open_service(data_dir: Path, server_url: str) -> AsyncIterator[Service]:
    async with AsyncExitStack() as stack:
        url = stack.enter_context(make_database(server_url))
        proxy = stack.enter_context(FaultProxy.open(url))
        subscriber = stack.enter_context(listen())
        mail = stack.enter_context(serve_mail_in_thread())
        settings = {
            "database_url": proxy.url,
            "allow_private_endpoints": True,
            "worker_lease_seconds": 2.0,
            "smtp": SmtpSettings("127.0.0.1", "reports@example.com", mail.port, security=Security.NONE),
        }
        parts = stack.enter_context(run_parts(data_dir, public_url="http://service.test", **settings))
        client = await stack.enter_async_context(open_client(build_app(parts), raises=False))
        report = make_report(
            parts.database,
            parts.cipher,
            parts.settings.data_dir,
            "sqlite",
            first=sql("SELECT 7 AS n"),
            last=sql("SELECT {{ first.data[0].n }} + 1 AS n"),
            tell=("email", {"to_": "ann@example.com", "subject": "s", "value": "{{ last.data[0].n }}"}),
        )
        body = {"name": "s", "url": subscriber.url, "events": ["report.run"]}
        (await client.post("/api/v1/webhook_subscription/", json=body)).raise_for_status()
        database = Database(url)
        stack.callback(database.close)
        yield Service(client, database, proxy, subscriber, mail, report.id)


Act: TypeAlias = Callable[[Service, Callable[[], None]], Awaitable[int]]
"""Calls what arms the proxy, does what is to be proved, and gives the run when all is settled."""


async def call_trigger(service: Service, arm: Callable[[], None]) -> int:
    """Start a run by its trigger; it sends a webhook."""
    arm()
    run_id = await service.trigger(uuid4().hex)
    await until(lambda: service.is_settled(run_id), f"run {run_id}")
    return run_id


async def start_by_schedule(service: Service, arm: Callable[[], None]) -> int:
    """Let a schedule start a run, once."""
    start = (get_now() + timedelta(days=1)).isoformat()
    body = {"report_id": service.report_id, "first_start": start, "recurrence": "hourly", "max_runs": 1}
    made = (await service.client.post("/api/v1/schedule/", json=body)).raise_for_status().json()
    arm()
    with service.database.writing() as session:  # now, however slow this machine is
        is_made = ReportSchedule.id == made["id"]
        session.execute(update(ReportSchedule).where(is_made).values(next_run_on=get_now()))
    (run, *_) = await until(
        lambda: service.read(Run, Run.schedule_id == made["id"]), f"schedule {made['id']}"
    )
    await until(lambda: service.is_settled(run.id), f"run {run.id}")
    runs = service.read(Run, Run.schedule_id == made["id"])
    assert [one.id for one in runs] == [run.id]
    (schedule,) = service.read(ReportSchedule, ReportSchedule.id == made["id"])
    assert (schedule.run_count, schedule.next_run_on) == (1, None)
    return int(run.id)


def name_kind(statement: Statement) -> str:
    """Name what a statement does to which table; a COMMIT is named after what it commits."""
    *before, last = statement
    if last == "COMMIT":
        written = (name_kind((one,)) for one in before)
        return " ".join(
            ["COMMIT", *(one for one in written if one.split()[0] in ("INSERT", "UPDATE", "DELETE"))]
        )
    found = WRITTEN.search(last) or READ.search(last)  # what claims rows first reads them
    return " ".join(found.groups()) if found else last.split()[0]


async def find_statements(service: Service, act: Act, about: str) -> Counter[Statement]:
    """Find the statements of an act, of transactions about something; not those that are sent without it."""
    run_id = await act(service, lambda: None)  # what is only done the first time
    service.proxy.arm()
    await asyncio.sleep(IDLE_SECONDS)
    idle = service.proxy.disarm()
    await act(service, service.proxy.arm)
    sent = service.proxy.disarm()
    await service.check(run_id)
    mine = {one: "; ".join(one) for one in sent if one not in idle}
    return Counter(
        {one: sent[one] for one, text in mine.items() if about in text and not HEARTBEAT.search(text)}
    )


async def lose(service: Service, act: Act, cut: Cut) -> bool:
    """Do it, lose the connection once, and return whether the statement was sent."""
    run_id = await act(service, lambda: service.proxy.arm(cut))
    sent = service.proxy.disarm()
    await service.check(run_id)
    return sent[cut.statement] >= cut.number


async def lose_in_turn(service: Service, act: Act, cuts: deque[Cut], lost: list[Cut]) -> None:
    """Take the next cut until there is none."""
    while cuts:
        cut = cuts.popleft()
        try:
            for _ in range(TRIES):
                if await lose(service, act, cut):
                    lost.append(cut)
                    break
        except BaseException as error:
            error.add_note(f"the connection was lost {cut}")
            cuts.clear()  # for the others to end
            raise


async def lose_each(services: Sequence[Service], act: Act, about: str) -> set[str]:
    """Make all cuts, some at the same time, and give the kinds of the statements."""
    cuts = deque(choose_all(await find_statements(services[0], act, about)))
    wanted, lost = list(cuts), list[Cut]()
    async with asyncio.TaskGroup() as tasks:
        for service in services:
            tasks.create_task(lose_in_turn(service, act, cuts, lost))
    # Which statements are sent depends a little on who comes first.
    assert len(lost) >= 0.9 * len(wanted), [str(one) for one in wanted if one not in lost]
    return {f"{one.moment} {name_kind(one.statement)}" for one in lost}


@asynccontextmanager
async def open_services(count: int, folder: Path, server_url: str) -> AsyncIterator[list[Service]]:
    async with AsyncExitStack() as stack:
        opening = (open_service(folder / str(number), server_url) for number in range(count))
        yield [await stack.enter_async_context(one) for one in opening]


RUN = {
    "INSERT INTO run",
    "COMMIT UPDATE run",
    "COMMIT UPDATE run INSERT INTO run_log",
    "INSERT INTO block_result",
    "INSERT INTO outbox_event",
    "INSERT INTO delivery",
    "INSERT INTO message",
    "COMMIT UPDATE delivery",
    "COMMIT UPDATE webhook_subscription UPDATE delivery INSERT INTO delivery_attempt",
    "COMMIT UPDATE message",
}
"""What is lost at both moments, at least: the acceptance, each claim, each step, and what is sent."""

SCHEDULED = {"INSERT INTO run", "COMMIT INSERT INTO run UPDATE schedule"}


SUBJECTS = [
    pytest.param(call_trigger, "", RUN, id="trigger"),
    # The run that it starts is that of a trigger.
    pytest.param(start_by_schedule, "schedule", SCHEDULED, id="schedule"),
]


def at_both_moments(kinds: Iterable[str]) -> set[str]:
    return {f"{moment} {kind}" for moment in MOMENTS for kind in kinds}


@pytest.mark.parametrize(("act", "about", "kinds"), SUBJECTS)
async def test_every_statement_can_be_lost(
    tmp_path: Path, postgres_server_url: str, act: Act, about: str, kinds: set[str]
) -> None:
    async with open_services(4, tmp_path, postgres_server_url) as services:
        lost = await lose_each(services, act, about)
    assert at_both_moments(kinds) <= lost, lost
