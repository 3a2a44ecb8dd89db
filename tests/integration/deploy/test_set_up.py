"""docker/set_up.py, against a real service: what it introduces, and what it leaves alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.deployment_tools import ROOT
from tests.fakes.service_process import API_TOKEN, ServiceProcess, run_ready_service
from tests.fakes.service_subscriber import Subscriber, listen

TRIGGER_TOKEN, SENDER_TOKEN = "trigger-token-0123456789", "sender-token-0123456789"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    data_dir = tmp_path_factory.mktemp("set-up") / "data"
    with run_ready_service(data_dir, "--demo", "--allow-private-endpoints") as service:
        yield service


@pytest.fixture(scope="module")
def receiver() -> Iterator[Subscriber]:
    with listen() as receiver:
        yield receiver


def run_set_up(
    service: ServiceProcess, receiver: Subscriber, trigger_token: str, api_token: str = API_TOKEN
) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "SERVICE_URL": f"http://127.0.0.1:{service.port}",
        "RECEIVER_URL": receiver.url.removesuffix("/hook"),
        "PUSHMETRICS_API_TOKEN": api_token,
        "PUSHMETRICS_TRIGGER_TOKEN": trigger_token,
        "PUSHMETRICS_WEBHOOK_TOKEN": SENDER_TOKEN,
    }
    return subprocess.run(
        [sys.executable, str(ROOT / "docker" / "set_up.py")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def set_up(service: ServiceProcess, receiver: Subscriber, trigger_token: str = TRIGGER_TOKEN) -> str:
    """Run the command, which must succeed, and give what it says."""
    done = run_set_up(service, receiver, trigger_token)
    assert done.returncode == 0, done.stderr
    return done.stdout


def read(service: ServiceProcess, path: str) -> Any:
    return service.client.get(f"/api/v1/{path}").raise_for_status().json()["result"]


def test_token_of_the_sender_is_in_no_url_and_reaches_the_receiver(
    service: ServiceProcess, receiver: Subscriber
) -> None:
    set_up(service, receiver)
    (row,) = read(service, "webhook_subscription/")
    assert row["url"].endswith("/webhooks/pushmetrics")
    assert SENDER_TOKEN not in str(row)
    service.client.post(f"/api/v1/webhook_subscription/{row['id']}/test").raise_for_status()
    received = receiver.wait_for(lambda one: one.event["event"] == "webhook.test")
    assert (received.path, received.headers["authorization"]) == (
        "/webhooks/pushmetrics",
        f"Bearer {SENDER_TOKEN}",
    )


def test_subscription_of_an_earlier_version_loses_the_token_in_its_url(
    service: ServiceProcess, receiver: Subscriber
) -> None:
    set_up(service, receiver)
    (row,) = read(service, "webhook_subscription/")
    old = {"url": f"{row['url']}?token={SENDER_TOKEN}", "headers": {}}
    service.client.put(f"/api/v1/webhook_subscription/{row['id']}", json=old).raise_for_status()
    set_up(service, receiver)
    (now,) = read(service, "webhook_subscription/")
    assert (now["id"], now["url"], now["headers"]) == (row["id"], row["url"], {"Authorization": "***"})


def list_triggers(service: ServiceProcess) -> dict[int, str]:
    """Give the tokens of all triggers."""
    return {row["id"]: read(service, f"webhook/{row['id']}")["token"] for row in read(service, "webhook/")}


def test_headers_that_a_user_has_set_are_kept_and_that_of_the_sender_is_set_again(
    service: ServiceProcess, receiver: Subscriber
) -> None:
    set_up(service, receiver)
    (row,) = read(service, "webhook_subscription/")
    path = f"/api/v1/webhook_subscription/{row['id']}"
    own = {"headers": {"X-Team": "data", "authorization": "Bearer an-old-token"}, "name": "renamed"}
    service.client.put(path, json=own).raise_for_status()
    set_up(service, receiver)
    assert [one["id"] for one in read(service, "webhook_subscription/")] == [row["id"]]
    delivery = service.client.post(f"{path}/test").raise_for_status().json()["result"]
    received = receiver.wait_for(lambda one: one.headers.get("webhook-id") == delivery["webhook_id"])
    assert (received.headers["x-team"], received.headers["authorization"]) == (
        "data",
        f"Bearer {SENDER_TOKEN}",
    )
    service.client.put(path, json={"name": "docker compose", "headers": {}}).raise_for_status()


def test_what_a_user_has_disabled_stays_so_and_a_new_token_is_set(
    service: ServiceProcess, receiver: Subscriber
) -> None:
    before = list_triggers(service)
    set_up(service, receiver)
    own = next(number for number, token in list_triggers(service).items() if token == TRIGGER_TOKEN)
    (row,) = read(service, "webhook_subscription/")
    paths = [f"webhook/{own}", f"webhook_subscription/{row['id']}"]
    for path in paths:
        service.client.put(f"/api/v1/{path}", json={"active": False}).raise_for_status()
    set_up(service, receiver)
    assert [read(service, path)["active"] for path in paths] == [False, False]
    set_up(service, receiver, "another-token-0123456789")
    assert list_triggers(service) == {**before, own: "another-token-0123456789"}
    notified = {"details": {"made_by": "docker compose", "email_on": "failure", "slack_on": "both"}}
    service.client.put(f"/api/v1/webhook/{own}", json=notified).raise_for_status()  # as the page does
    set_up(service, receiver, "a-third-token-0123456789")
    assert list_triggers(service) == {**before, own: "a-third-token-0123456789"}


def test_triggers_of_users_keep_their_tokens(service: ServiceProcess, receiver: Subscriber) -> None:
    for row in read(service, "webhook/"):
        service.client.delete(f"/api/v1/webhook/{row['id']}").raise_for_status()
    token = "of-a-user-0123456789"
    own = {"report_id": 1, "token": token, "details": {"on": "failure"}}
    service.client.post("/api/v1/webhook/", json=own).raise_for_status()
    set_up(service, receiver)
    assert list(list_triggers(service).values()) == [token, TRIGGER_TOKEN]
    of_text = service.client.post(
        "/api/v1/webhook/", json={**own, "token": f"{token}-2", "details": "nightly"}
    )
    of_text.raise_for_status()
    set_up(service, receiver, "another-token-0123456789")
    assert list(list_triggers(service).values()) == [token, "another-token-0123456789", f"{token}-2"]
    service.client.delete(f"/api/v1/webhook/{of_text.json()['id']}").raise_for_status()
    set_up(service, receiver, token)
    assert list(list_triggers(service).values()) == [token, "another-token-0123456789"]


def test_subscription_of_a_user_to_other_events_is_left_as_it_is(
    service: ServiceProcess, receiver: Subscriber
) -> None:
    set_up(service, receiver)
    (row,) = read(service, "webhook_subscription/")
    service.client.delete(f"/api/v1/webhook_subscription/{row['id']}").raise_for_status()
    own = {"name": "own", "url": f"{row['url']}?x=1", "events": ["query.run"]}
    service.client.post("/api/v1/webhook_subscription/", json=own).raise_for_status()
    (before,) = read(service, "webhook_subscription/")
    for _ in range(2):
        set_up(service, receiver)
        listed = {one["name"]: one for one in read(service, "webhook_subscription/")}
        assert listed.keys() == {"own", "docker compose"}
        assert listed["own"] == before
        assert listed["docker compose"]["events"] == ["report.run"]
    for one in listed.values():
        service.client.delete(f"/api/v1/webhook_subscription/{one['id']}").raise_for_status()


def test_deleted_report_is_said_and_the_receiver_still_subscribed(
    service: ServiceProcess, receiver: Subscriber
) -> None:
    set_up(service, receiver)
    (row,) = read(service, "webhook_subscription/")
    for path in ("report/1", f"webhook_subscription/{row['id']}"):
        service.client.delete(f"/api/v1/{path}").raise_for_status()
    assert "report 1 does not exist" in set_up(service, receiver)
    assert len(read(service, "webhook_subscription/")) == 1


def test_subscription_behind_many_others_is_found(service: ServiceProcess, receiver: Subscriber) -> None:
    """Another one at each start would send every event once more."""
    for row in read(service, "webhook_subscription/"):
        service.client.delete(f"/api/v1/webhook_subscription/{row['id']}").raise_for_status()
    other = {"name": "another", "url": receiver.url, "events": ["query.run"]}
    for _ in range(100):
        service.client.post("/api/v1/webhook_subscription/", json=other).raise_for_status()
    set_up(service, receiver)
    set_up(service, receiver)
    listed = [read(service, f"webhook_subscription/?q=(page:{page},page_size:100)") for page in (0, 1)]
    assert [row["name"] for page in listed for row in page].count("docker compose") == 1


def test_refusal_says_what_was_asked_and_no_token(service: ServiceProcess, receiver: Subscriber) -> None:
    done = run_set_up(service, receiver, TRIGGER_TOKEN, "another-api-token-0123456789")
    assert done.returncode == 1
    assert done.stderr.startswith("the service answered 401 to GET /api/v1/")
    assert done.stderr.count("\n") == 1
    assert "token" not in done.stderr
