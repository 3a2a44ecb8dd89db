"""A workspace whose names and values are markup, marks of direction, very long, and very many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.fakes.saved_reports import BlockParts, query, save_report, start_run, wait_for_run
from tests.fakes.service_process import ServiceProcess
from tests.fakes.service_subscriber import Subscriber

MARKUP = "<script>window.hacked = 1</script><img src=x onerror=window.hacked=1>"
ROWS = 100_000
COLUMNS = 50
BLOCKS = 60


def name_hostile(what: str) -> str:
    """Make a name of 200 characters, whose end is as in every other one."""
    return f"{what} {MARKUP} \u202eturned عربى 🙂👩‍👩‍👧 {'x' * 200}"[:200]


@dataclass(frozen=True)
class HostilePages:
    """Where the pages of such a workspace are."""

    report: str
    run: str
    many: str
    webhook: str
    delivery: str


def fill_hostile(service: ServiceProcess, subscriber: Subscriber) -> HostilePages:
    """Make a notebook that has run, and one of each thing that has a name."""
    report = save_report(service, name_hostile("notebook"), *_list_blocks())
    change = {
        "type": "notebook",
        "folder": name_hostile("folder").replace("/", "|"),
        "description": MARKUP * 9,
    }
    service.client.put(f"/api/v1/report/{report}", json=change).raise_for_status()
    run = start_run(service, report, origin=name_hostile("given"))
    many = save_report(service, "Sixty blocks", *_list_many())
    for path, body in _list_rows(report).items():
        service.client.post(path, json=body).raise_for_status()
    service.client.put("/api/v1/workspace/1", json={"name": name_hostile("workspace")}).raise_for_status()
    webhook, delivery = _make_webhook(service, subscriber)
    wait_for_run(service, run)
    return HostilePages(
        report=f"app/reports/{report}",
        run=f"app/reports/{report}/runs/{run}",
        many=f"app/reports/{many}",
        webhook=f"app/webhooks/{webhook}",
        delivery=f"app/webhooks/deliveries/{delivery}",
    )


def _list_blocks() -> list[BlockParts]:
    columns = [f"'{name_hostile('value')}' AS \"{name_hostile('column')}\"", "repeat('w', 300) AS word"]
    columns += [f"range * {number} AS column_number_{number}" for number in range(COLUMNS - 3)]
    kind, name, content = query("wide", f"SELECT range AS id, {', '.join(columns)} FROM range({ROWS})")
    mail = {"to_": "reader@example.com", "subject": name_hostile("subject"), "value": MARKUP}
    return [
        ("parameter", "origin", {"type": "text", "default": name_hostile("default")}),
        ("text", "words", {"text": f"# {name_hostile('heading')}\n\n{MARKUP} {{{{ origin }}}}"}),
        (kind, name, {**content, "limit": ROWS}),
        query(name_hostile("failing"), f"SELECT error('{MARKUP}')"),
        ("email", "mail", mail),
    ]


def _list_many() -> list[BlockParts]:
    """List blocks of which each uses the one before it; every other name is long."""
    names = [f"block_{number}" + "_of_many" * (number % 2 * 6) for number in range(BLOCKS)]
    uses = ["", *(f" {{{{ {name} }}}}" for name in names)]
    return [("text", name, {"text": f"Block {name}{use}"}) for name, use in zip(names, uses, strict=False)]


def _list_rows(report: int) -> dict[str, dict[str, Any]]:
    """List one of each thing that has a name, by the path that creates it."""
    return {
        "/api/v1/schedule/": {
            "report_id": report,
            "name": name_hostile("schedule"),
            "first_start": "2099-01-01T06:00:00+00:00",
        },
        "/api/v1/webhook/": {"report_id": report},
        "/api/v1/access_token/": {"name": name_hostile("token")},
        "/api/v1/database/": {
            "database_name": name_hostile("database"),
            "sqlalchemy_uri": "duckdb:///flights.duckdb",
        },
        "/api/v1/user/?skip_welcome_email=true": {
            "email": f"{'l' * 60}@{'d' * 60}.{'e' * 60}.example.com",
            "first_name": name_hostile("person"),
        },
    }


def _make_webhook(service: ServiceProcess, subscriber: Subscriber) -> tuple[str, str]:
    """Make a webhook with a delivery, and give the uids of both."""
    body = {
        "name": name_hostile("webhook"),
        "url": f"{subscriber.url}/{'long' * 60}",
        "events": ["report.run"],
    }
    made = service.client.post("/api/v1/webhook_subscription/", json=body).raise_for_status().json()
    path = f"/api/v1/webhook_subscription/{made['id']}/test"
    delivery = service.client.post(path).raise_for_status().json()
    subscriber.wait_for(lambda _: True)
    return str(made["result"]["uid"]), str(delivery["result"]["uid"])
