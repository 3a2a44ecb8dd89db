"""Users, roles and workspaces: who may do what, and that nobody sees what is another workspace's."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select

from airflow_provider_pushmetrics.service.accounts.authentication import Authenticator
from airflow_provider_pushmetrics.service.models import Membership, OutgoingMessage, Report, User
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.runtime import ServiceParts
from airflow_provider_pushmetrics.service.storage.clock import get_now
from tests.fakes.service_process import API_TOKEN
from tests.fakes.service_reports import sql
from tests.fakes.service_subscriber import Subscriber
from tests.fakes.waiting import until, until_async
from tests.integration.service.conftest import Api, open_client, read_accepted

USERS = "/api/v1/user/"
ADMIN, USER, GUEST = 1, 2, 3

OPEN_TO_GUESTS = re.compile(
    r"/api/reports/|/api/v1/security/exchange$|/api/v1/report/\{reference\}/webhook$"
    r"|/api/v1/access_token/\{reference\}$"
)
"""Results can be had by POST; the next two have credentials of their own; a token that leaks must end."""


async def create_user(client: httpx.AsyncClient, email: str, *roles: int, **query: Any) -> dict[str, Any]:
    body = {"email": email, "first_name": "Ann", "roles": list(roles)}
    query = {"skip_welcome_email": "true", **query}
    return read_accepted(await client.post(USERS, json=body, params=query))


async def make_token(client: httpx.AsyncClient, user: dict[str, Any]) -> str:
    answer = await client.post(f"{USERS}{user['result']['uid']}/access_token/", json={"name": "first"})
    return str(read_accepted(answer)["token"])


async def make_workspace(client: httpx.AsyncClient, name: str) -> tuple[dict[str, Any], str]:
    answer = (await client.post("/api/v1/workspace/", json={"name": name})).json()
    return answer["result"], answer["token"]


def list_routes(app: FastAPI) -> list[tuple[str, str]]:
    paths: dict[str, dict[str, Any]] = app.openapi()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


# --- users --------------------------------------------------------------------------------------------------


async def test_user_is_created_once_and_told_by_mail_without_a_token(api: Api) -> None:
    first = await create_user(api.client, "New@Example.com", GUEST, skip_welcome_email="false")
    assert (first["action"], first["result"]["email"]) == ("created", "new@example.com")
    assert first["result"]["main_role"] == {"id": GUEST, "name": "Guest"}
    again = await create_user(api.client, "new@example.com", ADMIN, skip_welcome_email="false")
    assert (again["action"], again["id"]) == ("no_op", first["id"])
    assert again["result"]["main_role"]["name"] == "Guest"
    query = {"q": "(filters:!((col:recipient,opr:eq,value:'new@example.com')))"}
    mails = (await api.client.get("/api/v1/message/", params=query)).json()["result"]
    assert [mail["subject"] for mail in mails] == ["Welcome to Main Workspace"]
    assert "with the role Guest" in mails[0]["text"]
    assert "ask admin@localhost" in mails[0]["text"]
    assert "pmpat_" not in mails[0]["text"]


@pytest.mark.parametrize(
    "body",
    [
        {"email": "nobody"},
        {"email": "a@b.c\nBcc: x@y.z"},
        {"email": "a\x00@b.c"},
        {"email": "\ud800@b.c"},
        {"email": "ok@example.com", "roles": [9]},
        {"email": "ok@example.com", "roles": ["Admin"]},
        {},
    ],
)
async def test_user_that_cannot_be_is_refused(api: Api, body: dict[str, Any]) -> None:
    answer = await api.client.post(
        USERS, content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422, answer.text
    assert set(answer.json()) == {"message"}


async def test_admin_lets_a_user_in_changes_their_role_and_sees_them_off(api: Api, app: FastAPI) -> None:
    user = await create_user(api.client, "ann@example.com")
    path = f"{USERS}{user['result']['uid']}"
    assert user["result"]["main_role"]["name"] == "User"
    token = await make_token(api.client, user)
    async with open_client(app, token) as hers:
        assert (await hers.get("/api/v1/user/current")).json()["email"] == "ann@example.com"
        assert (await hers.post("/api/v1/report/", json={"name": "Hers"})).status_code == 201
        assert (await hers.post(USERS, json={"email": "x@example.com"})).status_code == 403
        changed = await api.client.put(path, json={"main_role": GUEST})
        assert changed.json()["result"]["main_role"]["name"] == "Guest"
        assert (await hers.post("/api/v1/report/", json={"name": "Hers"})).status_code == 403
        assert (await hers.get("/api/v1/report/")).status_code == 200
        jwt = (await hers.post("/api/v1/security/exchange")).json()["access_token"]
        removed = await api.client.delete(f"{path}/remove_from_workspace/")
        assert removed.json() == {"message": "OK"}
        for credential in (token, jwt):
            headers = {"Authorization": f"Bearer {credential}"}
            assert (await hers.get("/api/v1/report/", headers=headers)).status_code == 401
    assert (await api.client.get(path)).status_code == 404
    back = await create_user(api.client, "ann@example.com")
    assert (back["action"], back["id"] > user["id"]) == ("created", True)


async def test_token_of_a_user_is_revoked_by_the_admin(api: Api, app: FastAPI) -> None:
    user = await create_user(api.client, "leaky@example.com")
    token = await make_token(api.client, user)
    path = f"{USERS}{user['id']}/access_token/"
    listed = (await api.client.get(path)).json()
    assert token not in str(listed)
    assert (await api.client.delete(path + listed["ids"][0])).json() == {"message": "OK"}
    assert (await api.client.delete(f"{USERS}1/access_token/{listed['ids'][0]}")).status_code == 404
    async with open_client(app, token) as theirs:
        assert (await theirs.get("/api/v1/report/")).status_code == 401


async def test_workspace_is_never_left_without_an_admin(api: Api) -> None:
    for attempt in (
        api.client.put(f"{USERS}1", json={"main_role": USER}),
        api.client.delete(f"{USERS}1/remove_from_workspace/"),
        api.client.post("/api/v1/role/roleAdmin/revoke_users", json={"users_uid": ["1"]}),
    ):
        answer = await attempt
        assert answer.status_code == 409
        assert "only Admin" in answer.json()["message"]


async def test_role_is_given_to_several_users_and_taken_again(api: Api) -> None:
    users = [await create_user(api.client, f"{name}@example.com", GUEST) for name in ("bo", "cy")]
    body = {"users_uid": [user["result"]["uid"] for user in users]}

    async def list_names() -> set[str]:
        rows = [(await api.client.get(f"{USERS}{user['id']}")).json()["result"] for user in users]
        return {row["main_role"]["name"] for row in rows}

    given = await api.client.post("/api/v1/role/roleUser/assign_users", json=body)
    assert given.json()["result"]["role"]["name"] == "User"
    assert await list_names() == {"User"}
    await api.client.post("/api/v1/role/1/revoke_users", json=body)
    assert await list_names() == {"User"}, "they did not have that one"
    await api.client.post("/api/v1/role/2/revoke_users", json=body)
    assert await list_names() == {"Guest"}
    assert (await api.client.post("/api/v1/role/3/revoke_users", json=body)).status_code == 409
    assert (await api.client.post("/api/v1/role/9/assign_users", json=body)).status_code == 404


# --- roles --------------------------------------------------------------------------------------------------


async def test_guest_can_change_nothing_by_any_route(api: Api, app: FastAPI) -> None:
    token = await make_token(api.client, await create_user(api.client, "guest@example.com", GUEST))
    routes = [
        (method, path)
        for method, path in list_routes(app)
        if method != "GET" and not OPEN_TO_GUESTS.search(path)
    ]
    assert len(routes) > 45
    async with open_client(app, token) as guest:
        for method, path in routes:
            answer = await guest.request(method, re.sub(r"\{[^}]*\}", "1", path))
            assert answer.status_code == 403, f"{method} {path}: {answer.text}"
            assert re.fullmatch(
                r"Forbidden: it needs the role (User|Admin), and yours is Guest\."
                r" An Admin of the workspace can change that\.",
                answer.json()["message"],
            )


async def test_guest_revokes_their_own_token(api: Api, app: FastAPI) -> None:
    token = await make_token(api.client, await create_user(api.client, "leak@example.com", GUEST))
    async with open_client(app, token) as guest:
        (own,) = (await guest.get("/api/v1/access_token/")).json()["ids"]
        assert (await guest.delete(f"/api/v1/access_token/{own}")).json() == {"message": "OK"}
        assert (await guest.get("/api/v1/report/")).status_code == 401


async def test_guest_reads_but_sees_no_token_of_a_trigger(api: Api, app: FastAPI) -> None:
    outputs = await api.run(api.make_report(q=sql("SELECT 1 AS n")).id)
    token = await make_token(api.client, await create_user(api.client, "reader@example.com", GUEST))
    async with open_client(app, token) as guest:
        url = outputs["queries"][0]["query_result"]
        assert (await guest.get(url)).json()["data"] == (await guest.post(url)).json()["data"] == [{"n": 1}]
        trigger = (await guest.get("/api/v1/webhook/1")).json()["result"]
        assert {"token", "url"} & set(trigger) == set()


async def test_user_makes_reports_but_neither_members_nor_databases(api: Api, app: FastAPI) -> None:
    token = await make_token(api.client, await create_user(api.client, "editor@example.com", USER))
    async with open_client(app, token) as editor:
        assert (await editor.post("/api/v1/report/1/run/noteflow")).status_code == 200
        assert "token" in (await editor.get("/api/v1/webhook/1")).json()["result"]
        for method, path in (
            ("POST", "/api/v1/database/"),
            ("DELETE", "/api/v1/database/1"),
            ("POST", "/api/v1/workspace/"),
            ("DELETE", "/api/v1/workspace/1"),
            ("POST", f"{USERS}1/access_token/"),
            ("GET", f"{USERS}1/access_token/"),
        ):
            assert (await editor.request(method, path)).status_code == 403


async def test_last_login_is_when_the_user_last_exchanged_a_token_or_signed_in(
    api: Api, app: FastAPI
) -> None:
    user = await create_user(api.client, "login@example.com")
    path = f"{USERS}{user['id']}"
    token = await make_token(api.client, user)
    async with open_client(app, token) as theirs:
        await theirs.get("/api/v1/report/")
        assert (await api.client.get(path)).json()["result"]["last_login"] is None
        began = get_now()
        assert (await theirs.post("/api/v1/security/exchange")).status_code == 200
    noted = (await api.client.get(path)).json()["result"]["last_login"]
    assert began <= datetime.fromisoformat(noted) <= get_now()


def test_login_is_noted_at_most_once_a_minute(parts: ServiceParts) -> None:
    now = datetime(2031, 3, 1, tzinfo=UTC)
    authenticator = Authenticator(parts.database, parts.cipher, 900, clock=lambda: now)
    principal = authenticator.find_token_owner(API_TOKEN)
    assert principal is not None
    noted = []
    for seconds in (0, 59, 1):
        now += timedelta(seconds=seconds)
        authenticator.record_login(principal)
        with parts.database.reading() as session:
            noted.append(session.get_one(User, principal.user_id).last_login)
    assert noted == [now - timedelta(minutes=1), now - timedelta(minutes=1), now]


# --- workspaces ---------------------------------------------------------------------------------------------


async def test_workspace_has_members_of_its_own_and_goes_with_all_that_is_in_it(
    api: Api, app: FastAPI
) -> None:
    workspace, token = await make_workspace(api.client, "Marketing")
    listed = (await api.client.get("/api/v1/workspace/")).json()["result"]
    assert {row["name"]: row["is_active"] for row in listed} == {"Main Workspace": True}
    user = await create_user(api.client, "both@example.com", GUEST)
    async with open_client(app, token) as there:
        assert (await there.get("/api/v1/workspace/current")).json()["name"] == "Marketing"
        added = await create_user(there, "both@example.com", ADMIN)
        assert (added["action"], added["id"]) == ("added_to_workspace", user["id"])
        assert added["result"]["main_role"]["name"] == "Admin"
        here = (await api.client.get(f"{USERS}{user['id']}")).json()["result"]
        assert here["main_role"]["name"] == "Guest"
        block = {"type": "text", "name": "t", "content": {"text": "hello"}}
        made = (await there.post("/api/v1/report/", json={"name": "Theirs", "blocks": [block]})).json()
        await there.post(f"/api/v1/report/{made['id']}/run/noteflow")
        await there.post(
            "/api/v1/webhook_subscription/",
            json={"name": "s", "url": "http://127.0.0.1:9/", "events": ["report.run"]},
        )
        path = f"/api/v1/workspace/{workspace['uid']}"
        assert (await there.get(path)).json()["result"]["name"] == "Marketing"
        assert (await api.client.get(path)).status_code == 404
        assert (await api.client.delete(path)).status_code == 404
        assert (await there.delete(path)).json() == {"message": "OK"}
        assert (await there.get("/api/v1/report/")).status_code == 401
    assert (await api.client.get(path)).status_code == 404
    with api.parts.database.reading() as session:
        for kind in (Report, Membership):
            kept = select(func.count()).where(kind.workspace_id == workspace["id"])
            assert session.scalar(kept) == 0
    assert (await api.client.get("/api/v1/report/1")).status_code == 200


async def test_names_and_addresses_are_deleted_with_the_last_workspace_of_a_user(
    api: Api, app: FastAPI
) -> None:
    workspace, token = await make_workspace(api.client, "Sales")
    await create_user(api.client, "stays@example.com")
    async with open_client(app, token) as there:
        gone = await create_user(there, "gone@example.com", ADMIN)
        await create_user(there, "stays@example.com", ADMIN)
        async with open_client(app, await make_token(there, gone)) as theirs:
            assert (await theirs.post("/api/v1/security/exchange")).status_code == 200
            assert (await theirs.delete(f"/api/v1/workspace/{workspace['uid']}")).json() == {"message": "OK"}
    with api.parts.database.reading() as session:
        user = session.get_one(User, gone["id"])
        assert (user.email, user.first_name, user.last_name) == (f"removed-{user.uid}", "", "")
        kept = session.scalars(select(User.first_name).where(User.email == "stays@example.com")).all()
        assert kept == ["Ann"]
    new = await create_user(api.client, "gone@example.com")
    assert (new["action"], new["id"] > gone["id"], new["result"]["last_login"]) == ("created", True, None)
    assert (await api.client.get("/api/v1/user/current")).json()["email"] == "admin@localhost"


@pytest.mark.slow
async def test_results_are_deleted_with_their_workspace_and_with_their_report(
    api: Api, app: FastAPI, tmp_path: Path
) -> None:
    (tmp_path / "orders.csv").write_text("n\n1\n")
    workspace, token = await make_workspace(api.client, "Files")
    async with open_client(app, token) as there:
        database = {"database_name": "files", "sqlalchemy_uri": f"duckdb:///{tmp_path}"}
        source = (await there.post("/api/v1/database/", json=database)).json()
        content = {"database_id": source["id"], "sql": "SELECT 1 AS n"}
        body = {"name": "Theirs", "blocks": [{"type": "sql", "name": "q", "content": content}]}
        kept, gone = [(await there.post("/api/v1/report/", json=body)).json()["id"] for _ in range(2)]
        files = {made: await run_for_file(there, api.parts.results, made) for made in (kept, gone)}
        assert (await there.delete(f"/api/v1/report/{gone}")).json() == {"message": "OK"}
        await until(lambda: not files[gone].parent.exists())
        assert files[kept].exists()
        await there.delete(f"/api/v1/workspace/{workspace['uid']}")
    await until(lambda: not files[kept].parent.exists())


async def run_for_file(client: httpx.AsyncClient, results: ResultStore, report_id: int) -> Path:
    """Run a report of one query, and find the file of its result."""
    run_id = (await client.post(f"/api/v1/report/{report_id}/run/noteflow")).json()["result"]["run_id"]

    async def list_results() -> list[dict[str, Any]]:
        answer = await client.get(f"/api/v1/noteflow_run/{run_id}/get_task_results")
        rows: list[dict[str, Any]] = answer.json()["result"]
        return rows

    found = results.find((await until_async(list_results))[0]["results_key"])
    assert found is not None
    assert isinstance(found.source, Path)
    return found.source


async def test_admin_who_takes_a_stranger_in_gets_no_power_over_them(api: Api, app: FastAPI) -> None:
    victim = await create_user(api.client, "victim@example.com", ADMIN)
    async with open_client(app, await make_token(api.client, victim)) as hers:
        assert (await hers.post("/api/v1/security/exchange")).status_code == 200
    _, token = await make_workspace(api.client, "Finance")
    async with open_client(app, token) as there:
        mallory = await create_user(there, "mallory@example.com", ADMIN)
        async with open_client(app, await make_token(there, mallory)) as his:
            seen = (await create_user(his, "victim@example.com", ADMIN, skip_welcome_email="false"))["result"]
            assert (seen["first_name"], seen["last_name"], seen["last_login"]) == ("", "", None)
            minted = await his.post(f"{USERS}{seen['id']}/access_token/", json={"name": "evil"})
            assert (minted.status_code, "victim@example.com" in minted.json()["message"]) == (403, True)
            assert "Hello victim@example.com" in (await his.get("/api/v1/message/")).text
            assert (await his.delete("/api/v1/workspace/1")).status_code == 404
    here = (await api.client.get(f"{USERS}{victim['id']}")).json()["result"]
    assert (here["first_name"], here["last_login"] is None) == ("Ann", False)
    await make_token(api.client, victim)


async def test_member_is_removed_from_the_workspace_of_the_token_only(api: Api) -> None:
    user = await create_user(api.client, "dee@example.com")
    path = f"{USERS}{user['id']}/remove_from_workspace/"
    own = (await api.client.get("/api/v1/workspace/current")).json()["uid"]
    other, _ = await make_workspace(api.client, "Other")
    assert (await api.client.delete(path + other["uid"])).status_code == 404
    assert (await api.client.delete(path + own)).json() == {"message": "OK"}


@pytest.mark.slow
async def test_nothing_of_a_workspace_is_found_by_another_one_s_token(
    api: Api, app: FastAPI, subscriber: Subscriber
) -> None:
    known = await make_one_of_each(api, subscriber)
    _, token = await make_workspace(api.client, "Strangers")
    async with open_client(app, token) as inviting:
        stranger = await make_token(inviting, await create_user(inviting, "stranger@example.com", ADMIN))
    routes = [(method, path) for method, path in list_routes(app) if "{" in path and "/switch" not in path]
    details = [path for method, path in routes if method == "GET" and "webhook?" not in path]
    assert len(details) > 20
    async with open_client(app, stranger) as strange:
        for path in details:
            url = fill_in(path, known)
            own, theirs = await api.client.get(url), await strange.get(url)
            if not path.endswith("/webhook"):  # the trigger has a credential of its own
                assert own.status_code == 200, f"{path}: {own.text}"
            expected = 401 if path.endswith("/webhook") else 404
            assert theirs.status_code == expected, f"{path}: {theirs.text}"
        for method, path in routes:
            if method != "GET" and not path.endswith("/webhook") and "/api/v1/role/" not in path:
                answer = await strange.request(method, fill_in(path, known))
                assert answer.status_code in (404, 422), f"{method} {path}: {answer.text}"
        for path in ("report", "block", "webhook", "webhook_subscription", "schedule", "message", "database"):
            assert (await strange.get(f"/api/v1/{path}/")).json()["count"] == 0


# --- steps --------------------------------------------------------------------------------------------------


async def make_one_of_each(api: Api, subscriber: Subscriber) -> dict[str, str]:
    """Make one of each resource, and give what their paths hold."""
    made = api.make_report(q=sql("SELECT 1 AS n"))
    subscription = await api.subscribe(subscriber.url, "report.run")
    outputs = await api.run(made.id)
    subscriber.wait_for_run("report.run", outputs["run_id"])
    alone = (await api.client.post(f"/api/v1/block/{made.blocks['q']}/run")).json()["run_id"]
    query = made.queries["q"]
    await api.wait_for(f"/api/reports/{made.id}/queries/{query}/run/{alone}")
    user = await create_user(api.client, "each@example.com", skip_welcome_email="false")
    await make_token(api.client, user)
    token = (await api.client.post("/api/v1/access_token/", json={"name": "one of each"})).json()
    schedule = {"report_id": made.id, "first_start": "2099-01-01T00:00:00Z", "recurrence": "daily"}
    scheduled = (await api.client.post("/api/v1/schedule/", json={"name": "s", **schedule})).json()
    results = (await api.client.get(f"/api/v1/block/{made.blocks['q']}/results/")).json()["result"]
    with api.parts.database.writing() as session:
        message = OutgoingMessage(
            workspace_id=1, kind="slack", recipient="#x", text="t", status="sent", next_attempt_on=get_now()
        )
        session.add(message)
        session.flush()
    runs = (await api.client.get("/api/v1/noteflow_run_log/")).json()["result"]
    deliveries = (await api.client.get("/api/v1/webhook_delivery/")).json()["ids"]
    return {
        "report": str(made.id),
        "query": str(query),
        "block": made.blocks["q"],
        "noteflow_run": str(outputs["run_id"]),
        "noteflow_run_log": runs[0]["uid"],
        "query_run": str(alone),
        "result_id": str(results[0]["id"]),
        "webhook": "1",
        "webhook_subscription": str(subscription["id"]),
        "webhook_delivery": str(deliveries[0]),
        "message": str(message.id),
        "schedule": str(scheduled["id"]),
        "database": "1",
        "access_token": token["id"],
        "user": str(user["id"]),
        "workspace": (await api.client.get("/api/v1/workspace/current")).json()["uid"],
        "role": "1",
    }


def fill_in(path: str, known: dict[str, str]) -> str:
    """Put the names of what there is into the path of a route."""
    if path.startswith("/api/reports/"):
        run = known["query_run"] if "/queries/" in path and path.endswith("/run/{run_id}") else None
        path = path.replace("{run_id}", run or known["noteflow_run"])
        return path.replace("{report}", known["report"]).replace("{query}", known["query"])
    resource = path.removeprefix("/api/v1/").split("/")[0]
    path = path.replace("{reference}", known[resource]).replace("{token}", known["access_token"])
    path = path.replace("{schema}", "main").replace("{table}", "flights") + "?pattern=f"
    return path.replace("{workspace}", known["workspace"]).replace("{result_id}", known["result_id"])
