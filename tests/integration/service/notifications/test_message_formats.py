"""What reports send, from saved blocks by HTTP to a mail server and to Slack: values are text everywhere."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy import func, select

from airflow_provider_pushmetrics.service.models import OutgoingMessage
from airflow_provider_pushmetrics.service.models.statuses import PENDING
from tests.fakes.markup import HOSTILE, find_links, find_structure
from tests.fakes.waiting import until, until_async
from tests.integration.service.conftest import Api, open_client, read_accepted
from tests.integration.service.notifications.conftest import SLACK_OK, Connected, answer_slack, connect

REFUSED = answer_slack(ok=False, error="not_in_channel")

X = ("parameter", {"type": "any"})
ROWS = """
SELECT * FROM (VALUES ('<b>JFK</b>', 1.50, NULL), ('LGA', 20.25, 'a|b')) t(origin, delay, note) ORDER BY 2
"""
CHART = {
    "query": "rows",
    "spec": {"mark": "bar", "encoding": {"x": {"field": "origin"}, "y": {"field": "delay"}}},
}


@pytest.fixture(scope="module")
def connected(
    tmp_path_factory: pytest.TempPathFactory, shared_database_url: str | None
) -> Iterator[Connected]:
    folder: Path = tmp_path_factory.mktemp("connected")
    (folder / "sources").mkdir()
    duckdb.connect(str(folder / "sources" / "empty.duckdb")).close()
    with connect(folder, shared_database_url) as connected:
        yield connected


class Reports:
    """Saves reports by HTTP, runs them by their triggers, and waits for what they send."""

    def __init__(self, api: Api, connected: Connected) -> None:
        self.api, self.connected = api, connected
        self.mail, self.slack = connected.mail, connected.slack
        self.mail.taken.clear()
        self.mail.envelopes.clear()
        self.slack.requests.clear()
        self.slack.reply = SLACK_OK

    async def post(self, path: str, body: dict[str, Any]) -> int:
        """Make something, and give its id."""
        row = read_accepted(await self.api.client.post(path, json=body))
        return int(row["id"] if "id" in row else row["result"]["id"])

    async def save(self, **blocks: tuple[str, dict[str, Any]]) -> int:
        """Save a report with a trigger."""
        uri = {"database_name": f"empty {next(NUMBERS)}", "sqlalchemy_uri": "duckdb:///empty.duckdb"}
        database_id = await self.post("/api/v1/database/", uri)
        report_id = await self.post("/api/v1/report/", {"name": "Formats"})
        for name, (kind, content) in blocks.items():
            content = {"database_id": database_id, **content} if kind == "sql" else content
            body = {"report_id": report_id, "type": kind, "name": name, "content": content}
            await self.post("/api/v1/block/", body)
        await self.post("/api/v1/webhook/", {"report_id": report_id, "active": True})
        return report_id

    async def run(self, report_id: int, **parameters: Any) -> dict[str, Any]:
        outputs = await self.api.run(report_id, parameters)
        return {**outputs, "by_name": {block["name"]: block for block in outputs["blocks"]}}

    async def wait_for_messages(self, outputs: dict[str, Any]) -> list[dict[str, Any]]:
        """Wait until nothing of a run waits to be sent, and give its messages as its outputs show them."""
        url = f"/api/reports/{outputs['report_id']}/run/{outputs['run_id']}"
        messages: list[dict[str, Any]] = []

        async def are_sent() -> bool:
            blocks = (await self.api.client.get(url)).json()["blocks"]
            messages[:] = [message for block in blocks for message in block["messages"]]
            return all(message["status"] != "pending" for message in messages)

        await until_async(are_sent, messages)
        return messages

    async def fetch_mails(self, outputs: dict[str, Any]) -> dict[str, EmailMessage]:
        """Wait for the mails of a run, and give the one that each block sent last."""
        await self.wait_for_messages(outputs)
        taken = {str(mail["Message-ID"]): mail for mail in self.mail.taken}
        return {
            block["name"]: taken[f"<{message['uid']}@example.com>"]
            for block in outputs["blocks"]
            for message in block["messages"]
        }


NUMBERS = itertools.count()


@pytest.fixture
async def reports(connected: Connected) -> AsyncIterator[Reports]:
    async with open_client(connected.app) as client:
        # The test before may have left messages on their way.
        await until(lambda: not count_pending(connected), "the outbox is not empty")
        yield Reports(Api(client, connected.parts), connected)


def count_pending(connected: Connected) -> int:
    pending = select(func.count()).where(OutgoingMessage.status == PENDING)
    with connected.parts.database.reading() as session:
        return session.scalar(pending) or 0


def email(value: str, form: str = "text", **more: Any) -> tuple[str, dict[str, Any]]:
    return "email", {"subject": "s", "to_": ["me@example.com"], "value": value, "format": form, **more}


def read_body(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    text: str = part.get_content().replace("\r\n", "\n")
    return text


MARKDOWN = """# {{ x }}

**{{ x }}** [{{ x | safe }}]({{ x }}) `{{ x }}`

| {{ x }} | n |
|---|--:|
{% for row in rows.data %}| {{ row.origin }} {{ x }} | {{ row.delay }} |
{% endfor %}

{{ rows.table }}
"""
HTML = """<h1>{{ x }}</h1><p title="{{ x }}">{{ x | safe }} <a href="{{ x }}">{{ x }}</a></p>
<table>{% for row in rows.data %}<tr><td>{{ row.origin }}</td><td>{{ x }}</td></tr>{% endfor %}</table>
{{ rows.table }}"""


@pytest.mark.slow
async def test_no_value_becomes_markup_a_header_a_recipient_or_a_name_of_a_file(reports: Reports) -> None:
    places: dict[str, Any] = {
        "subject": "Subject {{ x }}",
        "to_": ["me@example.com"],
        "attachments": [{"query": "rows", "format": "csv", "filename": "{{ x }}"}],
    }
    report_id = await reports.save(
        x=X,
        rows=("sql", {"sql": ROWS}),
        markdown=email(MARKDOWN, "markdown", **places),
        html=email(HTML, "html", **places),
        plain=email("{{ x }}", **places),
        addressed=email("body", **{**places, "to_": "{{ x }}@example.com; Name <me@example.com>"}),
        note=("text", {"text": MARKDOWN}),
    )
    harmless, *runs = await asyncio.gather(
        *(reports.run(report_id, x=value) for value in ("harmless", *HOSTILE))
    )
    assert [block["status"] for block in harmless["blocks"]] == ["success"] * 7, harmless["error"]
    mails = await reports.fetch_mails(harmless)
    expected = {name: find_structure(read_body(mails[name], "html")) for name in ("markdown", "html")}
    assert ("h1",) in expected["markdown"]
    page = find_structure(harmless["by_name"]["note"]["output_html"])
    for value, outputs in zip(HOSTILE, runs, strict=True):
        blocks = outputs["by_name"]
        assert [blocks[name]["status"] for name in ("markdown", "html", "plain", "note")] == ["success"] * 4
        assert blocks["addressed"]["status"] == "failed", value
        assert "is not a mail address" in blocks["addressed"]["error"]
        assert find_structure(blocks["note"]["output_html"]) == page
        mails = await reports.fetch_mails(outputs)
        assert mails["plain"].get_body(("html",)) is None
        for name, structure in expected.items():
            check_headers(mails[name])
            html = read_body(mails[name], "html")
            assert find_structure(html) == structure, value
            assert not any(link.lower().startswith(("javascript", "data")) for link in find_links(html))
    assert {tuple(to) for _, to in reports.mail.envelopes} == {("me@example.com",), ("harmless@example.com",)}


def check_headers(mail: EmailMessage) -> None:
    names = {"from", "to", "subject", "date", "message-id", "auto-submitted", "mime-version", "content-type"}
    assert {name.lower() for name in mail} == names
    assert str(mail["To"]) == "me@example.com"
    assert str(mail["Subject"]).startswith("Subject ")
    (file,) = mail.iter_attachments()
    name = str(file.get_filename())
    assert name.endswith(".csv")
    assert not set(name) & set('/\\<>:"|?*\r\n\x00')


@pytest.mark.slow
async def test_one_entry_is_one_recipient_whatever_a_parameter_holds(reports: Reports) -> None:
    report_id = await reports.save(
        x=X,
        one=email("v", to_="{{ x }}"),
        built=email("v", to_="{{ x }}@example.com, fixed@example.com"),
        named=email("v", to_='"{{ x }}" <boss@example.com>'),
    )
    expected = {
        "ann": (None, ["ann@example.com", "fixed@example.com"], ["boss@example.com"]),
        "ann@example.com": (["ann@example.com"], None, ["boss@example.com"]),
        "Ann <ann@example.com>": (["ann@example.com"], None, None),
        "evil@example.com, ann": (None, None, ["boss@example.com"]),
        "evil@example.com;ann@example.com": (None, None, ["boss@example.com"]),
        "evil@example.com\nann": (None, None, None),
        "<evil@example.com>": (["evil@example.com"], None, None),
        'x" <evil@example.com>, "y': (None, None, None),
        "evil@example.com\r\nBcc: other": (None, None, None),
    }
    for value, recipients in expected.items():
        reports.mail.envelopes.clear()
        outputs = await reports.run(report_id, x=value)
        messages = await reports.wait_for_messages(outputs)
        blocks = [outputs["by_name"][name] for name in ("one", "built", "named")]
        for block, wanted in zip(blocks, recipients, strict=True):
            assert block["status"] == ("failed" if wanted is None else "success"), (value, block)
        wanted_all = sorted(one for wanted in recipients if wanted for one in wanted)
        assert sorted(message["recipient"] for message in messages) == wanted_all
        assert sorted(one for _, to in reports.mail.envelopes for one in to) == wanted_all


async def test_encoded_words_of_a_value_stay_text(reports: Reports) -> None:
    name = "=?utf-8?q?a=2Cb=3Cevil=40example.com=3E?="
    report_id = await reports.save(
        x=X, mail=email("v", to_='"{{ x }}" <ann@example.com>', subject="Müller: Größe {{ x }}")
    )
    mail = (await reports.fetch_mails(await reports.run(report_id, x=name)))["mail"]
    assert str(mail["Subject"]) == f"Müller: Größe {name}"
    assert [(one.display_name, one.addr_spec) for one in mail["To"].addresses] == [(name, "ann@example.com")]
    assert [list(to) for _, to in reports.mail.envelopes] == [["ann@example.com"]]


async def test_long_cells_are_whole_in_texts(reports: Reports) -> None:
    url = f"https://example.com/{'a' * 300}/end"
    report_id = await reports.save(
        q=("sql", {"sql": f"SELECT '{url}' AS link, 1 AS n"}), mail=email("{{ q.table }}")
    )
    mail = (await reports.fetch_mails(await reports.run(report_id)))["mail"]
    assert url in read_body(mail, "plain")


async def test_names_of_attachments_differ_on_every_system(reports: Reports) -> None:
    files = [{"query": "q", "format": "csv", "filename": name} for name in ("a_3", "a", "a", "A")]
    report_id = await reports.save(q=("sql", {"sql": "SELECT 1 AS n"}), mail=email("v", attachments=files))
    mail = (await reports.fetch_mails(await reports.run(report_id)))["mail"]
    names = [str(file.get_filename()).casefold() for file in mail.iter_attachments()]
    assert len(set(names)) == len(files)


async def test_note_of_a_cut_result_counts_to_the_length_of_a_slack_message(reports: Reports) -> None:
    value = "{{ q.data | length }}" + "a" * 11_990
    report_id = await reports.save(
        q=("sql", {"sql": "SELECT unnest(range(9)) AS n", "limit": 2}),
        slack=("slack", {"channels": "#sales", "value_markdown": value}),
    )
    block = (await reports.run(report_id))["by_name"]["slack"]
    assert block["status"] == "failed", block
    assert "Slack accepts 12000: write less" in block["error"]


async def test_list_parameter_makes_one_recipient_of_each_item_once(reports: Reports) -> None:
    report_id = await reports.save(x=X, mail=email("v", to_=["{{ x }}", "ann@EXAMPLE.com"]))
    outputs = await reports.run(report_id, x=["Ann <Ann@example.com>", "bob@example.com", "ann@müller.de"])
    assert outputs["status"] == "success", outputs["error"]
    await reports.wait_for_messages(outputs)
    envelopes = sorted(one for _, to in reports.mail.envelopes for one in to)
    assert envelopes == ["Ann@example.com", "ann@xn--mller-kva.de", "bob@example.com"]
    assert "Ann <Ann@example.com>" in {str(mail["To"]) for mail in reports.mail.taken}
    outputs = await reports.run(report_id, x=["a@example.com, b@example.com"])
    assert "a parameter that is a list makes one of each item" in outputs["by_name"]["mail"]["error"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"to_": "nobody"}, "'nobody' is not a mail address"),
        ({"to_": " , ;"}, "must name at least one recipient"),
        ({"format": "rtf"}, "format is 'rtf': it must be one of text, markdown, html"),
        ({"format": "html", "value": "{% set y %}{{ x }}{% endset %}{{ y }}"}, "cannot have {% set %}"),
        (
            {"format": "markdown", "value": "{% for a in x recursive %}{{ loop(a) }}{% endfor %}"},
            "cannot have {% for … recursive %}",
        ),
    ],
)
async def test_email_block_that_cannot_work_is_refused_when_it_is_saved(
    reports: Reports, content: dict[str, Any], message: str
) -> None:
    report_id = await reports.save(x=X)
    body = {"report_id": report_id, "type": "email", "name": "m", "content": {**email("v")[1], **content}}
    answer = await reports.api.client.post("/api/v1/block/", json=body)
    assert (answer.status_code, message in answer.text) == (422, True), answer.text


async def test_mail_shows_results_as_tables_and_charts_as_pictures(reports: Reports) -> None:
    value = "Hello,\nsee {{ rows.table }}\n\n{{ rows.table.head(1) }}\n\n{{ chart }}\n\n{{ chart.picture }}"
    report_id = await reports.save(
        x=X, rows=("sql", {"sql": ROWS}), chart=("chart", CHART), mail=email(value, "markdown")
    )
    outputs = await reports.run(report_id, x="v")
    assert outputs["status"] == "success", outputs["error"]
    await reports.wait_for_messages(outputs)
    (mail,) = reports.mail.taken
    html, text = read_body(mail, "html"), read_body(mail, "plain")
    assert '<td>&lt;b&gt;JFK&lt;/b&gt;</td><td align="right">1.50</td><td></td>' in html
    assert "First 1 of 2 rows." in html
    assert html.count('<img src="cid:chart-1@pushmetrics" alt="chart" width="') == 2
    assert "Hello,<br>" in html
    assert (
        "origin      delay  note\n-----------------------\n<b>JFK</b>   1.50\nLGA         20.25  a|b" in text
    )
    assert "Hello,\nsee" in text
    assert text.endswith("First 1 of 2 rows.\n\n[chart]\n\n[chart]\n")
    (picture,) = [part for part in mail.walk() if part.get_content_type() == "image/png"]
    assert picture["Content-ID"] == "<chart-1@pushmetrics>"
    assert picture.get_content().startswith(b"\x89PNG")
    listed = (await reports.api.client.get("/api/v1/message/")).json()["result"]
    assert listed[0]["files"] == ["chart_1.png"]


async def test_plain_text_keeps_lines_and_has_no_html(reports: Reports) -> None:
    value = "<p>{{ x }}</p>\n  two\n\n{{ rows.table }}"
    report_id = await reports.save(x=X, rows=("sql", {"sql": ROWS}), mail=email(value))
    await reports.wait_for_messages(await reports.run(report_id, x="a\n b <i>"))
    (mail,) = reports.mail.taken
    assert mail.get_content_type() == "text/plain"
    lines = mail.get_content().splitlines()
    assert lines[:3] == ["<p>a", " b <i></p>", "  two"]
    assert lines[-1] == "LGA         20.25  a|b"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("email", email("{{ chart }}")[1], "a chart is a picture: it needs a mail in the format html or"),
        ("slack", {"channels": "#a", "value_markdown": "{{ chart }}"}, "can only stand in a mail"),
        ("text", {"text": "{{ chart }}"}, "can only stand in a mail"),
        ("email", email("{{ rows.table.head(0) }}")[1], "a table shows from 1 to 1000 rows, not 0"),
    ],
)
async def test_what_cannot_be_shown_fails_its_block_with_a_sentence(
    reports: Reports, kind: str, content: dict[str, Any], message: str
) -> None:
    report_id = await reports.save(
        rows=("sql", {"sql": ROWS}),
        chart=("chart", CHART),
        block=(kind, content),
    )
    outputs = await reports.run(report_id)
    assert outputs["by_name"]["block"]["status"] == "failed"
    assert message in outputs["by_name"]["block"]["error"]
    assert reports.mail.taken == []


async def test_mail_with_a_chart_that_cannot_be_drawn_is_not_sent(reports: Reports) -> None:
    report_id = await reports.save(
        rows=("sql", {"sql": ROWS}),
        broken=("chart", {"query": "rows", "spec": {"mark": 7}}),
        mail=email("{{ broken }}", "html"),
    )
    outputs = await reports.run(report_id)
    assert "the chart cannot be drawn: " in outputs["by_name"]["broken"]["error"]
    assert outputs["by_name"]["mail"]["status"] == "not_run"
    assert reports.mail.taken == []


async def test_cut_results_say_so_in_the_mail(reports: Reports) -> None:
    many = ("sql", {"sql": "SELECT range AS n FROM range(50)", "limit": 12})
    value = "{{ many.table.head(5) }}\n\n{{ many.table }}\n\n{{ many.data | length }}"
    files = [{"query": "many", "format": "csv", "filename": "numbers"}]
    report_id = await reports.save(
        many=many,
        markdown=email(value, "markdown", attachments=files),
        plain=email("see the file", attachments=files),
        slack=("slack", {"channels": "#a", "value_markdown": "{{ many.data | length }}"}),
    )
    outputs = await reports.run(report_id)
    assert outputs["status"] == "success", outputs["error"]
    await reports.wait_for_messages(outputs)
    texts = sorted(read_body(mail, "plain") for mail in reports.mail.taken)
    assert "First 5 of more than 12 rows." in texts[0]
    assert "First 12 of more rows." in texts[0]
    for line in ("numbers.csv: first 12 of more rows.", "many: first 12 of more rows."):
        assert line in texts[0]
    assert texts[1] == "see the file\n\nnumbers.csv: first 12 of more rows.\n"
    (post,) = reports.connected.read_posts()
    assert post["blocks"][0]["text"] == "12\n\nmany: first 12 of more rows."


# --- Slack ------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_values_in_slack_s_markdown_mention_nobody(reports: Reports) -> None:
    value = "# {{ x }}\n\n**{{ x }}** [{{ x }}](https://example.com/{{ x }})\n{{ rows.table }}"
    report_id = await reports.save(
        x=X,
        rows=("sql", {"sql": ROWS}),
        slack=("slack", {"channels": ["#reports; #other"], "value_markdown": value}),
    )
    runs = await asyncio.gather(*(reports.run(report_id, x=value) for value in HOSTILE))
    for outputs in runs:
        assert outputs["status"] == "success", outputs["error"]
        await reports.wait_for_messages(outputs)
    posts = reports.connected.read_posts()
    assert {post["channel"] for post in posts} == {"#reports", "#other"}
    assert len(posts) == 2 * len(HOSTILE)
    for post in posts:
        for text in (post["text"], post["blocks"][0]["text"]):
            assert not set(text) & {"<", ">", "\x00"}
        assert post["blocks"][0]["type"] == "markdown"


async def test_one_entry_is_one_channel_whatever_a_parameter_holds(reports: Reports) -> None:
    slack = ("slack", {"channels": "{{ x }}", "value_markdown": "v"})
    report_id = await reports.save(x=X, slack=slack)
    for value, channels in (
        ("#sales", ["#sales"]),
        (["#sales", "C024BE91L"], ["#sales", "C024BE91L"]),
        ("#sales,#all", None),
        ("#sales #all", None),
        ("<!channel>", None),
        ("#a\n#b", None),
    ):
        outputs = await reports.run(report_id, x=value)
        block = outputs["by_name"]["slack"]
        assert block["status"] == ("failed" if channels is None else "success"), (value, block)
        assert [message["recipient"] for message in block["messages"]] == (channels or [])


async def test_refused_post_is_shown_on_the_run_and_can_be_sent_again(reports: Reports) -> None:
    reports.slack.reply = REFUSED
    report_id = await reports.save(slack=("slack", {"channels": "#secret", "value_markdown": "**v**"}))
    outputs = await reports.run(report_id)
    assert outputs["status"] == "success"
    (message,) = await reports.wait_for_messages(outputs)
    assert (message["kind"], message["recipient"], message["status"]) == ("slack", "#secret", "failed")
    assert message["error"].startswith("not_in_channel: Slack did not post to '#secret'")
    reports.slack.reply = SLACK_OK
    again = await reports.api.client.post(f"/api/v1/message/{message['uid']}/send")
    assert again.json()["result"]["status"] == "pending"
    (message,) = await reports.wait_for_messages(outputs)
    assert (message["status"], message["error"]) == ("sent", None)
    assert len(reports.slack.requests) == 2
    twice = await reports.api.client.post(f"/api/v1/message/{message['uid']}/send")
    assert (twice.status_code, "is 'sent'" in twice.text) == (409, True)


async def test_text_block_is_markdown_on_pages_and_text_by_the_api(reports: Reports) -> None:
    report_id = await reports.save(x=X, note=("text", {"text": "**{{ x }}**\nline"}))
    block = (await reports.run(report_id, x="<b>*"))["by_name"]["note"]
    assert block["output"] == "**<b>***\nline"
    assert block["output_html"] == "<p><strong>&lt;b&gt;*</strong><br>\nline</p>\n"


async def test_text_that_postgresql_cannot_store_is_replaced_everywhere(reports: Reports) -> None:
    report_id = await reports.save(
        x=X,
        note=("text", {"text": "{{ x }}"}),
        fails=("text", {"text": "{{ x.nope }}{{ 1 / 0 }}"}),
        mail=email("{{ x }}", subject="{{ x }}"),
        slack=("slack", {"channels": "#a", "value_markdown": "{{ x }}"}),
    )
    outputs = await reports.run(report_id, x="a\x00b")
    assert outputs["by_name"]["note"]["output"] == "a\ufffdb"
    assert outputs["by_name"]["fails"]["status"] == "failed"
    assert {message["status"] for message in await reports.wait_for_messages(outputs)} == {"sent"}
    assert read_body(reports.mail.taken[0], "plain").strip() == "a\ufffdb"
    assert reports.connected.read_posts()[0]["blocks"][0]["text"] == "a\ufffdb"
