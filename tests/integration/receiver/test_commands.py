"""The subcommands of ``pushmetrics receiver``, on a real inbox and against a real receiver."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.receiver.cli import app
from airflow_provider_pushmetrics.receiver.commands import SHOWN_PAGE, follow
from airflow_provider_pushmetrics.receiver.endpoints.parsing import parse_webhook
from airflow_provider_pushmetrics.receiver.inbox.cleanup import InboxCleanup, clean
from airflow_provider_pushmetrics.receiver.inbox.consumer_gaps import Gap
from airflow_provider_pushmetrics.receiver.inbox.rejections import MAX_KEPT, RejectionLog
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from airflow_provider_pushmetrics.receiver.inbox.tables import events
from tests.fakes.receiver_requests import SIGNING_SECRET
from tests.fakes.receiver_server import SENDER_TOKEN, SOURCE, ReceiverServer, start_receiver
from tests.fakes.service_process import find_free_port


def fill(inbox: Inbox, count: int) -> None:
    bodies = [
        json.dumps({"event": "report.run", "report_id": number % 2, "n": number}) for number in range(count)
    ]
    inbox.record([parse_webhook("demo", None, body.encode()) for body in bodies])


def run(*arguments: str, environment: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "150", **(environment or {})})


def test_migrate_makes_the_inbox(inbox_url: str) -> None:
    result = run("migrate", "--inbox", inbox_url)
    assert (result.exit_code, result.output) == (0, "The inbox is up to date; its newest event is 0.\n")


def test_events_are_shown_and_exported(inbox: Inbox, inbox_url: str) -> None:
    fill(inbox, 3)
    shown = run("events", "--inbox", inbox_url)
    assert shown.output.count("report.run") == 3
    exported = run("events", "--inbox", inbox_url, "--export", "--report-id", "0", "--after", "1")
    (row,) = [json.loads(line) for line in exported.output.splitlines()]
    assert (row["id"], row["source"], row["body"]["n"]) == (3, "demo", 2)


def test_table_names_the_run_and_cuts_nothing_off(inbox: Inbox, inbox_url: str) -> None:
    outputs = f"https://pushmetrics.io/api/reports/12345/run/{10**15}"
    event = json.dumps({"event": "report.run", "report_id": 12345, "report_notebook_outputs": outputs})
    inbox.record([parse_webhook("a-source-with-a-long-name", None, event.encode())])
    (row,) = [
        line for line in run("events", "--inbox", inbox_url).output.splitlines() if "report.run" in line
    ]
    assert row.split()[3:] == [
        "a-source-with-a-long-name",
        "report.run",
        "12345",
        str(10**15),
        str(len(event)),
    ]


@pytest.mark.parametrize("command", [["events"], ["tail"], ["replay", "1"], ["clean", "--keep-days", "1"]])
def test_inbox_that_is_not_there_is_not_made_but_said(command: list[str], tmp_path: Path) -> None:
    result = run(*command, "--inbox", f"sqlite:///{tmp_path}/inbox.db")
    assert result.exit_code == 1
    assert f"there is no inbox at '{tmp_path}/inbox.db'" in result.output
    assert "pushmetrics receiver migrate" in result.output
    assert list(tmp_path.iterdir()) == []


def test_inbox_may_come_from_the_environment(inbox: Inbox, inbox_url: str) -> None:
    fill(inbox, 1)
    result = run("events", "--export", environment={"PUSHMETRICS_RECEIVER_INBOX": inbox_url})
    assert len(result.output.splitlines()) == 1


def test_range_is_replayed_with_its_filter_and_marked(inbox: Inbox, inbox_url: str) -> None:
    fill(inbox, 5)
    result = run("replay", "2-900", "--inbox", inbox_url, "--event", "report.run")
    assert result.output == "Replayed 4 events as 6 to 9.\n"
    again = inbox.fetch_page(EventFilter(), after=5, limit=10).events
    assert [event.replay_of for event in again] == [2, 3, 4, 5]
    assert run("replay", "x", "--inbox", inbox_url).exit_code == 1


def test_replaying_what_is_not_there_is_an_error(inbox: Inbox, inbox_url: str) -> None:
    fill(inbox, 3)
    for arguments in (["9"], ["3", "--source", "other"]):
        result = run("replay", *arguments, "--inbox", inbox_url)
        assert result.exit_code == 1
        assert f"no such event ({arguments[0]})" in result.output


def refuse_event(inbox: Inbox, event_id: int) -> None:
    """Let the database refuse an event by its id, as a full disk does."""
    with inbox._begin_write() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"ALTER TABLE {events.name} ADD CHECK (id <> {event_id})"))
            return
        fails = f"WHEN NEW.id = {event_id} BEGIN SELECT RAISE(ABORT, 'no'); END"
        connection.execute(text(f"CREATE TRIGGER fails BEFORE INSERT ON {events.name} {fails}"))


def test_replay_that_fails_half_way_says_what_it_has_replayed_and_where_to_go_on(
    inbox: Inbox, inbox_url: str
) -> None:
    fill(inbox, 2 * SHOWN_PAGE)
    first, last = 2 * SHOWN_PAGE + 1, 3 * SHOWN_PAGE
    refuse_event(inbox, last + 10)
    result = run("replay", f"1-{2 * SHOWN_PAGE}", "--inbox", inbox_url)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: the inbox cannot be used: ")
    assert f"{SHOWN_PAGE} events, up to {SHOWN_PAGE}, were replayed as {first} to {last}." in result.stderr
    assert f"go on with {SHOWN_PAGE + 1}-{2 * SHOWN_PAGE}." in result.stderr
    assert "report_id" not in result.stderr
    assert inbox.fetch_last_id() == last


def test_database_that_fails_during_a_command_is_one_sentence(inbox: Inbox, inbox_url: str) -> None:
    fill(inbox, 1)
    refuse_event(inbox, 2)
    result = run("replay", "1", "--inbox", inbox_url)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: the inbox cannot be used: ")
    assert len(result.stderr.splitlines()) == 1
    assert "report_id" not in result.stderr


def fill_days_ago(inbox_url: str, count: int, days: float) -> None:
    inbox = Inbox(inbox_url, clock=lambda: datetime.now(UTC) - timedelta(days=days))
    fill(inbox, count)
    inbox.close()


def test_clean_deletes_what_is_older(inbox: Inbox, inbox_url: str) -> None:
    fill_days_ago(inbox_url, 4, days=5)
    fill(inbox, 7)
    assert run("clean", "--inbox", inbox_url, "--keep-days", "4").output == "Deleted 4 events; 3 are left.\n"
    assert [event.id for event in inbox.fetch_page(EventFilter(), after=0, limit=10).events] == [5, 6, 7]
    assert inbox.fetch_last_id() == 7
    fill(inbox, 1)  # the deleted deliveries are forgotten
    assert inbox.fetch_last_id() == 8


@pytest.mark.usefixtures("inbox")
def test_clean_without_a_limit_says_what_to_give(inbox_url: str) -> None:
    result = run("clean", "--inbox", inbox_url)
    assert result.exit_code == 1
    assert "--keep-days" in result.output


def test_housekeeper_cleans_and_keeps_the_newest_rejections(inbox: Inbox, inbox_url: str) -> None:
    fill_days_ago(inbox_url, 1490, days=2)
    fill(inbox, 1500)
    log = RejectionLog()
    log.add(source="demo", client="10.0.0.1", status=401, outcome="unauthorized", reason="clock")
    keeper = InboxCleanup(inbox, RejectionLog(), 10)
    keeper.close()
    for row in log.drain():
        inbox.store_rejections([row] * (MAX_KEPT + 20))
    assert len(inbox.fetch_rejections(limit=5000)) == MAX_KEPT
    assert clean(inbox, 1, should_stop=lambda: False) == 1490
    assert inbox.count_events() == 10


def test_consumer_that_misses_events_is_said_once_for_each_place(
    inbox: Inbox, inbox_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    fill_days_ago(inbox_url, 2, days=2)
    inbox.store_consumer("airflow", 1)
    keeper = InboxCleanup(inbox, RejectionLog(), 1, interval_seconds=0.001)
    while inbox.fetch_consumer("airflow").missed < 1:
        time.sleep(0.001)
    keeper.close()
    for missed in (1, 2):
        keeper._warn_once(Gap("airflow", 1, missed))
    keeper._warn_once(Gap("airflow", 3, 1))
    warnings = [text for text in caplog.messages if "had not read" in text]
    assert [text.partition(":")[2].split(".")[0] for text in warnings] == [
        " its position is 1",
        " its position is 3",
    ]


def test_what_arrives_is_followed(inbox: Inbox) -> None:
    fill(inbox, 2)
    lines: list[str] = []
    arriving = threading.Timer(0.05, fill, (inbox, 3))

    def has_enough() -> bool:
        if not arriving.ident:
            arriving.start()
        return bool(lines)

    follow(inbox, EventFilter(), write=lines.append, should_stop=has_enough)
    arriving.join()
    assert json.loads(lines[0])["id"] == 3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiverServer]:
    inbox_url = f"sqlite:///{tmp_path_factory.mktemp('sent')}/inbox.db"
    with start_receiver(inbox_url, "--signing-secret", SIGNING_SECRET) as server:
        yield server


@pytest.mark.parametrize(
    ("credential", "answer"),
    [
        (["--token", SENDER_TOKEN], '202 {"id": '),
        (["--signing-secret", SIGNING_SECRET], '202 {"id": '),
        (["--token", "wrong-token-1"], "401 "),
    ],
)
def test_test_event_is_sent_as_pushmetrics_would(
    credential: Sequence[str], answer: str, server: ReceiverServer
) -> None:
    result = run("send", f"{server.url}/webhooks/{SOURCE}", *credential)
    assert result.output.startswith(answer)
    assert result.exit_code == (0 if answer.startswith("202") else 1)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (f"http://127.0.0.1:{find_free_port()}", "cannot be reached"),
        ("localhost:8091", "such as http://localhost:8091/webhooks/demo."),
    ],
    ids=["nobody-listens", "no-scheme"],
)
def test_address_that_leads_nowhere_is_an_error_without_the_token(address: str, words: str) -> None:
    result = run("send", f"{address}/webhooks/demo?token=s3cret-9")
    assert result.exit_code == 1
    assert words in result.output
    assert "s3cret" not in result.output


def test_inbox_that_cannot_be_opened_is_said() -> None:
    result = run("migrate", "--inbox", "sqlite:////dev/null/inbox.db")
    assert result.exit_code == 1
    assert "Error: " in result.output
