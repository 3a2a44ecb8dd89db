"""Which answers of a real service are compressed, as ``requests`` sees them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pyarrow.parquet as pq
import pytest
import requests

from tests.fakes.service_process import API_TOKEN, ServiceProcess
from tests.fakes.waiting import wait_until

ROWS = 40_000
GZIP = {"Accept-Encoding": "gzip"}
PLAIN = {"Accept-Encoding": "identity"}
SECRETS = {"token", "signing_secret", "access_token", "url"}
"""The names of what contains a secret in an answer."""


class Caller:
    """Sends requests to a service, and gives each answer as it came over the network."""

    def __init__(self, service: ServiceProcess) -> None:
        self._base = str(service.client.base_url)
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {API_TOKEN}"

    def send(
        self, method: str, path: str, headers: dict[str, str], body: Any = None
    ) -> tuple[requests.Response, bytes]:
        """Send a request; give the answer, and its bytes as they are sent."""
        url = self._base.rstrip("/") + path
        answer = self._session.request(method, url, headers=headers, json=body, stream=True)
        return answer, answer.raw.read(decode_content=False)

    def get(self, path: str, headers: dict[str, str]) -> tuple[requests.Response, bytes]:
        return self.send("GET", path, headers)

    def close(self) -> None:
        self._session.close()


@pytest.fixture(scope="module")
def result_path(served: ServiceProcess) -> str:
    """Give the path of a large result."""
    api = served.client
    database = api.get("/api/v1/database/").json()["ids"][0]
    sql = f"SELECT range AS n, 'carrier ' || (range % 16) AS name FROM range({ROWS})"
    block = {
        "type": "sql",
        "name": "many",
        "content": {"database_id": database, "sql": sql, "limit": ROWS},
    }
    made = api.post("/api/v1/report/", json={"name": "Compressed", "blocks": [block]}).raise_for_status()
    report = made.json()["id"]
    run = api.post(f"/api/v1/report/{report}/run/noteflow", json={}).raise_for_status().json()["result"]
    path = f"/api/reports/{report}/run/{run['run_id']}"
    wait_until(lambda: api.get(path).raise_for_status().status_code != 202, "the run does not end")
    (query,) = api.get(path).json()["queries"]
    return urlsplit(str(query["query_result"])).path


@pytest.fixture
def caller(served: ServiceProcess) -> Iterator[Caller]:
    caller = Caller(served)
    yield caller
    caller.close()


@pytest.mark.slow
def test_long_json_is_compressed_for_who_accepts_it(caller: Caller) -> None:
    answer, raw = caller.get("/openapi.json", GZIP)
    assert answer.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in answer.headers["vary"]
    assert int(answer.headers.get("content-length", len(raw))) == len(raw)
    plain, document = caller.get("/openapi.json", PLAIN)
    assert "content-encoding" not in plain.headers
    assert "Accept-Encoding" in plain.headers["vary"]
    assert int(plain.headers["content-length"]) == len(document)
    assert gzip.decompress(raw) == document
    assert len(raw) < len(document) / 4


@pytest.mark.parametrize("accepted", ["identity", "br", "gzip;q=0", "*;q=0", "x-gzipped"])
def test_who_does_not_accept_gzip_gets_plain_text(caller: Caller, accepted: str) -> None:
    answer, document = caller.get("/openapi.json", {"Accept-Encoding": accepted})
    assert "content-encoding" not in answer.headers
    assert json.loads(document)["openapi"]


def test_short_answer_is_not_compressed(caller: Caller) -> None:
    answer, raw = caller.get("/api/v1/user/current", GZIP)
    assert "content-encoding" not in answer.headers
    assert int(answer.headers["content-length"]) == len(raw) < 1000


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("media_type", ["application/json", "application/x-ndjson", "text/csv"])
def test_compressed_result_has_the_same_rows(
    caller: Caller, result_path: str, media_type: str, method: str
) -> None:
    answer, raw = caller.send(method, result_path, {**GZIP, "Accept": media_type})
    assert answer.status_code == 200
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-type"].startswith(media_type)
    assert "content-length" not in answer.headers
    _, plain = caller.send(method, result_path, {**PLAIN, "Accept": media_type})
    assert gzip.decompress(raw) == plain
    assert len(raw) < len(plain) / 3
    if media_type == "text/csv":
        assert sum(1 for _ in csv.reader(io.StringIO(plain.decode()))) == ROWS + 1


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.apache.arrow.stream",
        "application/vnd.apache.parquet",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ],
)
def test_binary_result_is_sent_as_it_is(caller: Caller, result_path: str, media_type: str) -> None:
    answer, raw = caller.get(result_path, {**GZIP, "Accept": media_type})
    assert "content-encoding" not in answer.headers
    assert int(answer.headers.get("content-length", len(raw))) == len(raw)


def test_range_of_a_file_has_exactly_its_bytes(caller: Caller, result_path: str) -> None:
    parquet = {"Accept": "application/vnd.apache.parquet"}
    whole, content = caller.get(result_path, {**GZIP, **parquet})
    assert pq.read_table(io.BytesIO(content)).num_rows == ROWS
    tag = {"If-Range": whole.headers["etag"]}
    part, raw = caller.get(result_path, {**GZIP, **parquet, **tag, "Range": "bytes=100-299"})
    assert part.status_code == 206
    assert "content-encoding" not in part.headers
    assert part.headers["content-range"] == f"bytes 100-299/{len(content)}"
    assert raw == content[100:300]


def test_range_of_text_is_answered_with_all_of_it(caller: Caller, result_path: str) -> None:
    answer, raw = caller.get(result_path, {**GZIP, "Accept": "text/csv", "Range": "bytes=0-9"})
    assert (answer.status_code, answer.headers["content-encoding"]) == (200, "gzip")
    assert len(gzip.decompress(raw).splitlines()) == ROWS + 1


def test_compressed_result_that_the_client_has_is_not_sent_again(caller: Caller, result_path: str) -> None:
    wanted = {"Accept": "text/csv"}
    compressed, _ = caller.get(result_path, {**GZIP, **wanted})
    plain, _ = caller.get(result_path, {**PLAIN, **wanted})
    # The two have different bytes, so that they do not share a strong tag.
    assert compressed.headers["etag"] == f"W/{plain.headers['etag']}"
    for encoding, tag in ((GZIP, compressed.headers["etag"]), (PLAIN, plain.headers["etag"])):
        again, raw = caller.get(result_path, {**encoding, **wanted, "If-None-Match": tag})
        assert (again.status_code, raw) == (304, b"")
        assert again.headers["etag"] == tag
        assert "content-encoding" not in again.headers
        assert "Accept-Encoding" in again.headers["vary"]


def test_events_of_a_page_are_sent_at_once(caller: Caller, served: ServiceProcess) -> None:
    with served.client.stream("GET", "/app/changes", headers=GZIP) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "content-encoding" not in answer.headers
        assert next(answer.iter_raw()).startswith(b": ")


def test_file_of_a_page_is_compressed_once(caller: Caller) -> None:
    answer, raw = caller.get("/app/assets/app.css", GZIP)
    assert answer.headers["content-encoding"] == "gzip"
    assert b"--line" in gzip.decompress(raw)


def test_answers_with_secrets_are_never_compressed(caller: Caller, served: ServiceProcess) -> None:
    """Callers choose the text beside a secret: the length of both, compressed, would tell of the secret."""
    chosen = "a" * 3000
    subscription = {"name": "s", "url": f"https://hooks.test/{chosen[:1000]}", "events": ["report.run"]}
    secret = caller.send("POST", "/api/v1/webhook_subscription/", GZIP, subscription)
    token = caller.send("POST", "/api/v1/access_token/", GZIP, {"name": "t" * 200})
    report = caller.send("POST", "/api/v1/report/", GZIP, {"name": "Triggered", "description": chosen})
    number = json.loads(report[1])["id"]
    details = json.dumps({"note": chosen})
    trigger = caller.send("POST", "/api/v1/webhook/", GZIP, {"report_id": number, "details": details})
    for answer, raw in (secret, token, report, trigger):
        assert answer.status_code < 300, raw
        assert "content-encoding" not in answer.headers
    document = served.client.get("/openapi.json").json()
    found = [path for path, one in document["paths"].items() if has_secret(document, one.get("get", {}))]
    assert set(found) == {
        "/api/v1/webhook/{reference}",
        "/api/v1/webhook_subscription/",
        "/api/v1/webhook_subscription/{reference}",
    }
    ids = {"webhook/": json.loads(trigger[1])["id"], "webhook_subscription/": json.loads(secret[1])["id"]}
    for path in found:
        one = ids["webhook/" if "/webhook/" in path else "webhook_subscription/"]
        answer, raw = caller.get(path.replace("{reference}", str(one)), GZIP)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store, no-transform"), path
        assert len(raw) > 1000
        assert "content-encoding" not in answer.headers


def has_secret(document: dict[str, Any], operation: dict[str, Any]) -> bool:
    """Return whether a successful answer of an operation has a property that contains a secret."""
    answers = [one for code, one in operation.get("responses", {}).items() if code.startswith("2")]
    return bool(SECRETS & list_properties(document, answers, set()))


def list_properties(document: dict[str, Any], schema: Any, seen: set[str]) -> set[str]:
    """List the names of all properties of a schema, also of those that it refers to."""
    if isinstance(schema, list):
        return {name for one in schema for name in list_properties(document, one, seen)}
    if not isinstance(schema, dict):
        return set()
    names = {*schema["properties"]} if isinstance(schema.get("properties"), dict) else set()
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference not in seen:
        seen.add(reference)
        target: Any = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
        names |= list_properties(document, target, seen)
    return names | list_properties(document, list(schema.values()), seen)
