"""Test messages: by a real SMTP conversation and a real HTTP request, for Admins only, and not too many."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.waiting import until, until_async
from tests.integration.service.accounts.test_accounts import GUEST, USER, create_user, make_token
from tests.integration.service.conftest import Api, open_client, read_accepted, read_result
from tests.integration.service.notifications.conftest import Connected, answer_slack, connect

NOTIFICATIONS = "/api/v1/notification"
MAIL_TEST, SLACK_TEST = f"{NOTIFICATIONS}/mail/test", f"{NOTIFICATIONS}/slack/test"


@pytest.fixture(name="connected")
async def open_connected(tmp_path: Path, database_url: str | None) -> AsyncIterator[tuple[Api, Connected]]:
    with connect(tmp_path, database_url) as connected:
        async with open_client(connected.app) as client:
            yield Api(client, connected.parts), connected


async def wait_for_attempt(api: Api, message: dict[str, Any]) -> dict[str, Any]:
    async def find() -> dict[str, Any] | None:
        row = read_result(await api.client.get(f"/api/v1/message/{message['uid']}"))
        return row if row["attempt_count"] else None

    return await until_async(find, "an attempt")


async def test_settings_are_shown_without_their_secrets(connected: tuple[Api, Connected]) -> None:
    api, servers = connected
    answer = await api.client.get(f"{NOTIFICATIONS}/")
    assert read_accepted(answer)["result"] == {
        "mail": {
            "host": "127.0.0.1",
            "port": servers.mail.port,
            "security": "none",
            "sender": "reports@example.com",
            "user": None,
        },
        "slack": {"base_url": f"{servers.slack.url}/api/"},
    }
    assert "s3cret" not in answer.text


async def test_one_mail_is_sent_to_the_caller_or_to_the_given_address(
    connected: tuple[Api, Connected],
) -> None:
    api, servers = connected
    for body, recipient in (({}, "admin@localhost"), ({"recipient": "ops@example.com"}, "ops@example.com")):
        message = read_result(await api.client.post(MAIL_TEST, json=body))
        assert message["recipient"] == recipient
        assert (await wait_for_attempt(api, message))["status"] == "sent"
    assert [mail["To"] for mail in servers.mail.taken] == ["admin@localhost", "ops@example.com"]
    assert servers.mail.taken[0]["From"] == "reports@example.com"
    text = servers.mail.taken[0].get_content()
    assert "admin@localhost sent this test from the workspace Main Workspace." in text


async def test_refusal_of_the_mail_server_is_told_in_a_sentence(connected: tuple[Api, Connected]) -> None:
    api, servers = connected
    servers.mail.recipient_answer = "550 no such mailbox"
    message = read_result(await api.client.post(MAIL_TEST, json={"recipient": "nobody@example.com"}))
    row = await wait_for_attempt(api, message)
    assert row["status"] == "failed"
    assert (
        "the mail to 'nobody@example.com' was not taken by '127.0.0.1': 550 no such mailbox" in row["error"]
    )


async def test_one_message_is_posted_to_the_channel_or_the_refusal_is_told(
    connected: tuple[Api, Connected],
) -> None:
    api, servers = connected
    message = read_result(await api.client.post(SLACK_TEST, json={"channel": "#reports"}))
    assert (await wait_for_attempt(api, message))["status"] == "sent"
    (post,) = servers.read_posts()
    assert post["channel"] == "#reports"
    assert "sent this test from the workspace Main Workspace" in post["text"]
    servers.slack.reply = answer_slack(ok=False, error="channel_not_found")
    message = read_result(await api.client.post(SLACK_TEST, json={"channel": "#nowhere"}))
    row = await wait_for_attempt(api, message)
    assert (row["status"], row["error"][:18]) == ("failed", "channel_not_found:")
    await until(lambda: len(servers.slack.requests) == 2)


async def test_tests_are_for_admins_and_limited(connected: tuple[Api, Connected]) -> None:
    api, servers = connected
    for role, email in ((USER, "user@example.com"), (GUEST, "guest@example.com")):
        token = await make_token(api.client, await create_user(api.client, email, role))
        async with open_client(servers.app, token) as client:
            assert (await client.get(f"{NOTIFICATIONS}/")).status_code == 403
            assert (await client.post(MAIL_TEST, json={})).status_code == 403
            assert (await client.post(SLACK_TEST, json={"channel": "#a"})).status_code == 403
    for body in ({"recipient": "two@example.com, three@example.com"}, {"recipient": "nobody"}):
        assert (await api.client.post(MAIL_TEST, json=body)).status_code == 400
    assert (await api.client.post(SLACK_TEST, json={"channel": "#a #b"})).status_code == 400
    answers = [await api.client.post(MAIL_TEST, json={}) for _ in range(7)]
    assert answers[0].status_code == 200
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    sent = [answer for answer in answers if answer.is_success]
    await until(lambda: len(servers.mail.taken) == len(sent))


async def test_service_without_servers_says_what_to_set(api: Api) -> None:
    assert read_result(await api.client.get(f"{NOTIFICATIONS}/")) == {"mail": None, "slack": None}
    mail = await api.client.post(MAIL_TEST, json={})
    slack = await api.client.post(SLACK_TEST, json={"channel": "#a"})
    assert (mail.status_code, slack.status_code) == (409, 409)
    assert "PUSHMETRICS_SERVICE_SMTP_HOST" in mail.json()["message"]
    assert "PUSHMETRICS_SERVICE_SLACK_TOKEN" in slack.json()["message"]
