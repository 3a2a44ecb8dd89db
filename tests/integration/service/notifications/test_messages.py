"""Charts, mail and messages to Slack: what blocks send, and who is told how a run ended."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from airflow_provider_pushmetrics.service.models import OutgoingMessage
from airflow_provider_pushmetrics.service.notifications.mail import Mailer
from airflow_provider_pushmetrics.service.notifications.mail_transport import MailTransport
from airflow_provider_pushmetrics.service.notifications.message_outbox import MAIL
from airflow_provider_pushmetrics.service.notifications.outbox_sender import OutboxSender
from airflow_provider_pushmetrics.service.notifications.settings import Security, SmtpSettings
from airflow_provider_pushmetrics.service.storage.clock import get_now
from tests.fakes.claims import send_due
from tests.fakes.mail_server import serve_mail
from tests.fakes.service_reports import TRIGGER_TOKEN, parameter, sql
from tests.fakes.waiting import until, until_async
from tests.integration.service.conftest import Api, open_client
from tests.integration.service.notifications.conftest import Connected, connect

ROWS = sql("SELECT 'JFK' AS origin, 1.5 AS delay UNION ALL SELECT 'LGA', 2.5 ORDER BY 1")
EMAIL = {
    "subject": "Delays of {{ who }}",
    "value": "{% for row in rows.data %}{{ row.origin }}={{ row.delay }} {% endfor %}",
    "to_": ["{{ who }}@example.com", "you@example.com"],
}
SLACK = {"channels": ["#reports"], "value_markdown": "{{ rows.data | length }} rows"}


class Sent:
    """What the connected service sends."""

    def __init__(self, api: Api, connected: Connected) -> None:
        self.api, self.mail, self.slack = api, connected.mail, connected.slack
        self.read_posts = connected.read_posts

    def make_report(self) -> int:
        return self.api.make_report(
            who=parameter("me"), rows=ROWS, mail=("email", EMAIL), post=("slack", SLACK)
        ).id


@pytest.fixture
async def sent(tmp_path: Path, database_url: str | None) -> AsyncIterator[Sent]:
    with connect(tmp_path, database_url) as connected:
        async with open_client(connected.app) as client:
            yield Sent(Api(client, connected.parts), connected)


async def test_blocks_send_mail_and_post_to_slack_with_what_queries_gave(sent: Sent) -> None:
    outputs = await sent.api.run(sent.make_report())
    assert outputs["status"] == "success", outputs
    assert [block["output"] for block in outputs["blocks"][2:]] == [
        "to me@example.com, you@example.com",
        "to #reports",
    ]
    await until(lambda: len(sent.mail.taken) == 2 and len(sent.slack.requests) == 1)
    assert {str(mail["To"]) for mail in sent.mail.taken} == {"me@example.com", "you@example.com"}
    assert sent.mail.taken[0]["Subject"] == "Delays of me"
    body = sent.mail.taken[0].get_body(("plain",))
    assert body is not None
    assert body.get_content().strip() == "JFK=1.5 LGA=2.5"
    assert (sent.read_posts()[0]["channel"], sent.read_posts()[0]["text"]) == ("#reports", "2 rows")
    query = {"q": "(filters:!((col:kind,opr:eq,value:slack)))"}
    listed = (await sent.api.client.get("/api/v1/message/", params=query)).json()["result"]
    assert [row["recipient"] for row in listed] == ["#reports"]


async def test_results_go_with_a_mail_as_files(sent: Sent) -> None:
    files = [
        {"query": "rows", "format": "csv", "filename": "delays of {{ who }}.csv"},
        {"query": "rows", "format": "parquet"},
        {"query": "rows", "format": "json"},
        {"query": "rows", "format": "json", "filename": "rows/../../etc\nX: y"},
        {"query": "none", "format": "csv", "skip_if_empty": True},
        {"query": "none", "format": "csv", "filename": "nothing"},
    ]
    content = {**EMAIL, "to_": ["me@example.com"], "value": "see the files", "attachments": files}
    made = sent.api.make_report(
        mail=("email", content), who=parameter("me"), rows=ROWS, none=sql("SELECT 1 AS n WHERE false")
    )
    outputs = await sent.api.run(made.id)
    assert outputs["status"] == "success", outputs
    await until(lambda: len(sent.mail.taken) == 1)
    attached = list(sent.mail.taken[0].iter_attachments())
    assert [(file.get_filename(), file.get_content_type()) for file in attached] == [
        ("delays of me.csv", "text/csv"),
        ("rows.parquet", "application/vnd.apache.parquet"),
        ("rows.json", "application/json"),
        ("rows_.._.._etc_X_ y.json", "application/json"),
        ("nothing.csv", "text/csv"),
    ]
    texts = {file.get_filename(): file.get_payload(decode=True) for file in attached}
    assert texts["delays of me.csv"] == b"\xef\xbb\xbforigin,delay\r\nJFK,1.5\r\nLGA,2.5\r\n"
    assert pq.read_table(io.BytesIO(attached[1].get_content())).to_pylist()[0] == {
        "origin": "JFK",
        "delay": 1.5,
    }
    written = json.loads(attached[2].get_content())
    url = next(one["query_result"] for one in outputs["queries"] if one["query_name"] == "rows")
    assert written == (await sent.api.client.get(url)).json()
    assert texts["nothing.csv"] == b"\xef\xbb\xbfn\r\n"
    listed = (await sent.api.client.get("/api/v1/message/")).json()["result"]
    assert listed[0]["files"][:2] == ["delays of me.csv", "rows.parquet"]


async def test_files_that_are_too_large_or_of_no_query_fail_their_block(sent: Sent) -> None:
    def attach(query: str, kind: str) -> tuple[str, dict[str, Any]]:
        return "email", {**EMAIL, "value": "v", "attachments": [{"query": query, "format": kind}]}

    made = sent.api.make_report(
        who=parameter("me"),
        many=sql("SELECT repeat('x', 1000) AS t FROM range(11000)"),
        large=attach("many", "csv"),
        small=attach("many", "parquet"),
        lost=attach("nowhere", "csv"),
    )
    outputs = await sent.api.run(made.id)
    blocks = {block["name"]: block for block in outputs["blocks"]}
    assert "larger than 10 MB: give the query a limit" in blocks["large"]["error"]
    assert "no query 'nowhere' to attach" in blocks["lost"]["error"]
    assert blocks["small"]["status"] == "success"
    await until(lambda: len(sent.mail.taken) == 2)


async def test_preview_goes_to_whoever_asked_for_it_and_nowhere_else(sent: Sent) -> None:
    report_id = sent.make_report()
    for options in ({"send_to_me": True, "email": "Only <only@example.com>"}, {"send_to_me": True}):
        outputs = await sent.api.run_by_api(report_id, options=options)
        assert outputs["status"] == "success"
        assert outputs["blocks"][-1]["output"] == "not sent: this is a preview"
    await until(lambda: len(sent.mail.taken) == 1)
    assert str(sent.mail.taken[0]["To"]) == "Only <only@example.com>"
    assert sent.mail.envelopes == [("reports@example.com", ["only@example.com"])]
    assert sent.slack.requests == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("details", "query", "mails", "posts"),
    [
        ({"email_on": "failure", "slack_on": "both"}, "SELECT 1 AS n", 0, 1),
        ({"email_on": "failure", "slack_on": "success"}, "SELECT nope", 1, 0),
        ({}, "SELECT nope", 1, 1),
    ],
)
async def test_trigger_tells_its_recipients_of_what_they_want_to_know(
    sent: Sent, details: dict[str, str], query: str, mails: int, posts: int
) -> None:
    made = sent.api.make_report(q=sql(query))
    listed = (await sent.api.client.get("/api/v1/webhook/")).json()["result"]
    changes = {
        "recipients": json.dumps(["ops@example.com"]),
        "slack_recipients": ["#ops"],
        "details": json.dumps(details),
    }
    answer = await sent.api.client.put(f"/api/v1/webhook/{listed[-1]['id']}", json=changes)
    assert answer.json()["result"]["recipients_json"] == ["ops@example.com"]
    url = f"/api/v1/report/{made.id}/webhook?token={TRIGGER_TOKEN}"
    run_id = (await sent.api.client.post(url)).json()["run_id"]
    await sent.api.wait_for(f"/api/reports/{made.id}/run/{run_id}")
    await until(lambda: (len(sent.mail.taken), len(sent.slack.requests)) == (mails, posts))
    if mails:
        assert sent.mail.taken[0]["Subject"] == f"Made by a test: run {run_id} failed"
    if posts:
        assert "Made by a test" in sent.read_posts()[0]["text"]


async def test_run_by_the_api_tells_nobody_of_the_triggers_recipients(sent: Sent) -> None:
    made = sent.api.make_report(q=sql("SELECT 1 AS n"))
    await sent.api.client.put("/api/v1/webhook/1", json={"recipients": ["ops@example.com"]})
    await sent.api.run_by_api(made.id)
    assert (await sent.api.client.get("/api/v1/message/")).json()["count"] == 0


@pytest.mark.parametrize(
    "changes", [{"recipients": ["nobody"]}, {"details": {"email_on": "never"}}, {"recipients": "a@b.de, c"}]
)
async def test_recipients_that_cannot_be_told_are_refused(api: Api, changes: dict[str, Any]) -> None:
    assert (await api.client.put("/api/v1/webhook/1", json=changes)).status_code == 400


async def test_mail_is_kept_and_slack_is_refused_where_neither_is_connected(api: Api) -> None:
    made = api.make_report(who=parameter("kept"), rows=ROWS, mail=("email", EMAIL), post=("slack", SLACK))
    outputs = await api.run(made.id)
    assert [block["status"] for block in outputs["blocks"]] == ["success", "success", "success", "failed"]
    assert "Slack is not connected" in outputs["blocks"][-1]["error"]
    query = {"q": "(filters:!((col:recipient,opr:eq,value:'kept@example.com')))"}

    async def find_kept() -> dict[str, Any] | None:
        row: dict[str, Any] = (await api.client.get("/api/v1/message/", params=query)).json()["result"][0]
        return row if row["status"] == "kept" else None

    assert (await until_async(find_kept))["subject"] == "Delays of kept"


async def test_chart_is_its_specification_with_the_rows_in_it(api: Api) -> None:
    spec = {
        "title": "Delays of {{ who }}",
        "mark": "bar",
        "encoding": {"x": {"field": "origin"}, "y": {"field": "delay", "type": "quantitative"}},
    }
    made = api.make_report(chart=("chart", {"spec": spec, "query": "rows"}), rows=ROWS, who=parameter("you"))
    outputs = await api.run(made.id)
    chart = json.loads(outputs["blocks"][0]["output"])
    assert (chart["title"], chart["mark"], chart["encoding"]) == ("Delays of you", "bar", spec["encoding"])
    assert chart["data"] == {"values": [{"origin": "JFK", "delay": 1.5}, {"origin": "LGA", "delay": 2.5}]}


async def test_message_that_cannot_be_made_fails_its_block(api: Api) -> None:
    made = api.make_report(
        nobody=("email", {**EMAIL, "to_": ["{{ '' }}"]}),
        rows=ROWS,
        who=parameter("no address "),
        wrong=("email", EMAIL),
        chart=("chart", {"spec": {"mark": "bar"}, "query": "nothing"}),
    )
    outputs = await api.run(made.id)
    errors = {block["name"]: block["error"] for block in outputs["blocks"]}
    assert "the list of recipients is empty" in errors["nobody"]
    assert "is not a mail address" in errors["wrong"]
    assert "there is no query 'nothing'" in errors["chart"]


async def test_mail_whose_file_was_cleaned_up_says_so(api: Api) -> None:
    files = [{"query": "rows", "format": "csv"}]
    content = {**EMAIL, "to_": ["late@example.com"], "value": "v", "attachments": files}
    outputs = await api.run(api.make_report(who=parameter("x"), rows=ROWS, mail=("email", content)).id)
    assert outputs["status"] == "success"
    query = {"q": "(filters:!((col:recipient,opr:eq,value:'late@example.com')))"}
    row = (await api.client.get("/api/v1/message/", params=query)).json()["result"][0]
    for file in (api.parts.settings.results_dir / f"run-{outputs['run_id']}").iterdir():
        file.unlink()
    async with serve_mail() as server:
        settings = SmtpSettings("127.0.0.1", "reports@example.com", server.port, security=Security.NONE)
        transport = MailTransport(Mailer(settings), api.parts.results, api.parts.database)
        later = get_now() + timedelta(days=1)  # not yet due for the service, which has no mail server
        with api.parts.database.writing() as session:
            message = session.get_one(OutgoingMessage, row["id"])
            message.status, message.next_attempt_on = "pending", later
        sender = OutboxSender(api.parts.database, {MAIL: transport}, clock=lambda _: later)
        await asyncio.to_thread(send_due, api.parts.database, sender, lambda _: later)
        assert server.taken == []
    shown = (await api.client.get(f"/api/v1/message/{row['id']}")).json()["result"]
    assert (shown["status"], "'rows.csv' is no longer kept" in shown["error"]) == ("failed", True)
