"""What a block may hold, through every route that saves or runs one: no key is accepted and then ignored."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.integration.service.conftest import Api
from tests.integration.service.reports.test_authoring import add

UNKNOWN: list[tuple[str, dict[str, Any], str]] = [
    ("sql", {"sql": "SELECT 1", "database_id": 1, "time_out_seconds": 5}, "time_out_seconds"),
    ("text", {"text": "Hello", "format": "html"}, "format"),
    ("parameter", {"choises": ["a"]}, "choises"),
    ("chart", {"query": "q", "spec": {"mark": "bar"}, "data": []}, "data"),
    ("email", {"to_": "a@example.com", "subject": "s", "value": "v", "formt": "html"}, "formt"),
    ("slack", {"channels": "#a", "value_markdown": "v", "chanels": "#b"}, "chanels"),
]
KNOWN = {
    "sql": "database_id, limit, sql, timeout_seconds",
    "text": "text",
    "parameter": "choices, default, multiple, required, type",
    "chart": "query, spec",
    "email": "attachments, format, subject, to_, value",
    "slack": "channels, value_markdown",
}
NOT_SUPPORTED: list[tuple[str, dict[str, Any], str]] = [
    ("sql", {"sql": "SELECT 1", "database_id": 1, "schema": "sales"}, "schema"),
    ("email", {"to_": "a@example.com", "subject": "s", "value": "v", "cc": "boss@example.com"}, "cc"),
    ("slack", {"channels": "#a", "value_markdown": "v", "thread_ts": "1.2"}, "thread_ts"),
    ("slack", {"channels": "#a", "value_markdown": "v", "editor_mode": "blocks_mode"}, "editor_mode"),
]
"""Keys that PushMetrics has and this service has not."""


def assert_named(message: str, kind: str, key: str) -> None:
    """Make sure that a message names the key and those that there are."""
    assert repr(key) in message
    assert KNOWN[kind] in message


@pytest.mark.parametrize(("kind", "content", "key"), UNKNOWN)
async def test_unknown_key_is_refused_by_every_route_that_saves_a_block(
    api: Api, kind: str, content: dict[str, Any], key: str
) -> None:
    right = {name: value for name, value in content.items() if name != key}
    report = await api.create_report({"type": kind, "name": "b", "content": right})
    uid, path = report["blocks"][0]["uid"], f"/api/v1/report/{report['id']}"
    block = {"type": kind, "name": "other", "content": content}
    document = {"name": "Made", "blocks": [{**block, "name": "b"}]}
    answers = [
        await api.client.post("/api/v1/block/", json={"report_id": report["id"], **block}),
        await api.client.put(f"/api/v1/block/{uid}", json={"content": content}),
        await api.client.put(f"/api/v1/block/{uid}", json={"content_json": json.dumps(content)}),
        await api.client.post("/api/v1/report/", json={"name": "Made", "blocks": [block]}),
        await api.client.post("/api/v1/report/config", content=yaml.safe_dump(document)),
        await api.client.put(f"{path}/config", content=yaml.safe_dump(document)),
        await api.client.put(f"{path}/config", params={"dry_run": True}, content=yaml.safe_dump(document)),
    ]
    if kind != "parameter":
        answers.append(
            await api.client.post(f"/api/v1/block/{uid}/run", json={"content_json": {key: content[key]}})
        )
    for answer in answers:
        assert answer.status_code == 422, answer.text
        assert_named(answer.json()["message"], kind, key)
    kept = (await api.client.get(f"/api/v1/block/{uid}")).json()["result"]["content_json"]
    assert key not in kept


@pytest.mark.parametrize(("kind", "content", "key"), NOT_SUPPORTED)
async def test_what_pushmetrics_has_and_this_service_has_not_is_refused_by_name(
    api: Api, kind: str, content: dict[str, Any], key: str
) -> None:
    answer = await api.client.post("/api/v1/block/", json={"type": kind, "name": "b", "content": content})
    assert answer.status_code == 422, answer.text
    assert f"{key!r} is not supported by this service" in answer.json()["message"]


async def test_what_the_official_client_sends_and_what_is_empty_is_accepted(api: Api) -> None:
    report = await api.create_report()
    slack = {
        "integration_id": "x1", "channels": ["#a"], "value_markdown": "v", "editor_mode": "wysiwyg_mode",
        "thread_ts": None, "attachments": [], "include_reload_button": False,
    }  # fmt: skip
    mail = {"integration_id": "x1", "to_": "a@example.com", "subject": "s", "value": "v", "cc": "", "bcc": []}
    for number, (kind, content) in enumerate([("slack", slack), ("email", mail)]):
        row = await add(api, report["id"], type=kind, name=f"b{number}", content_json=json.dumps(content))
        kept = json.loads(row["content_json"])
        assert kept["integration_id"] == "x1"
        assert not {"thread_ts", "cc", "bcc", "include_reload_button"} & set(kept)


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ({"attachments": [{"query": "q", "formt": "xlsx"}]}, "formt"),
        ({"attachments": [{"query": "q", "skip_if_emtpy": True}]}, "skip_if_emtpy"),
    ],
)
async def test_unknown_key_of_an_attachment_is_refused(api: Api, content: dict[str, Any], key: str) -> None:
    mail = {"to_": "a@example.com", "subject": "s", "value": "v", **content}
    answer = await api.client.post("/api/v1/block/", json={"type": "email", "name": "b", "content": mail})
    assert answer.status_code == 422, answer.text
    assert repr(key) in answer.json()["message"]
    assert "filename, format, query, skip_if_empty" in answer.json()["message"]


@pytest.mark.parametrize(
    ("document", "key"),
    [
        ("name: a\ntime_zon: Europe/Berlin\nblocks: []", "time_zon"),
        ("name: a\nblocks:\n- {name: b, type: text, contents: {}, content: {text: hello}}", "contents"),
    ],
)
async def test_unknown_key_of_a_yaml_document_is_refused(api: Api, document: str, key: str) -> None:
    answer = await api.client.post("/api/v1/report/config", content=document)
    assert answer.status_code == 422, answer.text
    assert repr(key) in answer.json()["message"]


@pytest.mark.parametrize(
    ("block", "warned"),
    [
        ({"type": "text", "content": {"text": "{{ oders.data | length }}"}}, "there is no query 'oders'"),
        (
            {"type": "email", "content": {"to_": "a@b.de", "subject": "s", "value": "{{ oders.table }}"}},
            "there is no query 'oders'",
        ),
        ({"type": "chart", "content": {"query": "oders", "spec": {"mark": "bar"}}}, "no query 'oders'"),
        (
            {
                "type": "email",
                "content": {
                    "to_": "a@b.de", "subject": "s", "value": "v", "attachments": [{"query": "oders"}],
                },
            },
            "there is no query 'oders'",
        ),
        ({"type": "parameter", "content": {"choices": {"query": "oders"}}}, "there is no query 'oders'"),
        (
            {"type": "email", "content": {"to_": "a@b.de", "subject": "s", "value": "{{ oders.picture }}"}},
            "no block of the report is called 'oders'",
        ),
        ({"type": "text", "content": {"text": "{{ region }}"}}, "no block of the report is called 'region'"),
    ],
)  # fmt: skip
async def test_missing_block_is_a_warning_of_every_route_that_saves_one(
    api: Api, block: dict[str, Any], warned: str
) -> None:
    block = {"name": "b", **block}
    made = await api.client.post("/api/v1/report/", json={"name": "Made", "blocks": [block]})
    report = made.json()["result"]
    document = yaml.safe_dump({"name": "Made", "blocks": [block]})
    path = f"/api/v1/report/{report['id']}/config"
    other = (await api.client.post("/api/v1/report/", json={"name": "Other"})).json()["result"]
    answers = [
        made,
        await api.client.put(
            f"/api/v1/block/{report['blocks'][0]['uid']}", json={"content": block["content"]}
        ),
        await api.client.post("/api/v1/block/", json={"report_id": other["id"], **block}),
        await api.client.post("/api/v1/report/config", content=document),
        await api.client.put(path, content=document),
        await api.client.put(path, params={"dry_run": True}, content=document),
    ]
    for answer in answers:
        assert answer.is_success, answer.text
        [warning] = answer.json()["result"]["warnings"]
        assert warned in warning
        assert warning.startswith("block 'b': ")


async def test_reference_that_can_do_without_its_block_is_no_warning(api: Api) -> None:
    text = "{{ region | default('all') }} {% if oders is defined %}{{ oders.data }}{% endif %}"
    report = await api.create_report({"type": "text", "name": "b", "content": {"text": text}})
    assert report["warnings"] == []
