"""What pages do in the less usual cases: large numbers, several tabs and users, errors, late answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.fakes.browser import Visit
from tests.fakes.service_process import ServiceProcess, run_ready_service

LARGE = 9007199254740993
"""The first whole number that JavaScript rounds."""


@pytest.fixture(scope="module", name="service")
def start_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with run_ready_service(tmp_path_factory.mktemp("details") / "data", "--demo") as service:
        yield service


def make_report(service: ServiceProcess, name: str, *blocks: tuple[str, str, dict[str, Any]]) -> int:
    """Make a report by the API."""
    rows = [{"type": kind, "name": block, "content": content} for kind, block, content in blocks]
    made = service.client.post("/api/v1/report/", json={"name": name, "blocks": rows})
    assert made.status_code == 201, made.text
    return int(made.json()["id"])


def start_run(service: ServiceProcess, report_id: int, **parameters: object) -> int:
    answer = service.client.post(
        f"/api/v1/report/{report_id}/run/noteflow", json={"parameters": parameters}
    ).raise_for_status()
    return int(answer.json()["result"]["run_id"])


def read_parameters(service: ServiceProcess, report_id: int) -> Any:
    """The parameters of the newest run of a report."""
    query = {"report_uid": service.client.get(f"/api/v1/report/{report_id}").json()["result"]["uid"]}
    runs = service.client.get("/api/v1/noteflow_run/", params=query).json()["result"]
    return max(runs, key=lambda run: run["id"])["parameters"]


def test_run_again_has_large_numbers_with_all_their_digits(service: ServiceProcess, visit: Visit) -> None:
    report = make_report(
        service,
        "Large numbers",
        ("parameter", "id", {"type": "integer", "default": LARGE}),
        ("parameter", "ids", {"type": "integer", "multiple": True}),
        ("parameter", "anything", {"default": {"id": LARGE, "share": 1.0}}),
        ("parameter", "one_of", {"type": "integer", "choices": [1, LARGE]}),
        ("text", "words", {"text": "{{ id }} {{ ids }} {{ anything.share }} {{ one_of }} {{ extra }}"}),
    )
    given = {"ids": [LARGE, LARGE + 2], "one_of": LARGE, "extra": LARGE}
    run = start_run(service, report, **given)
    page = visit.enter(f"app/reports/{report}/runs/{run}")
    expect(page.locator("dl.facts")).to_contain_text(
        f'id={LARGE}, ids=[{LARGE},{LARGE + 2}], anything={{"id":{LARGE},'
    )
    visit.press("Run again with changes")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("id", exact=True)).to_have_value(str(LARGE))
    expect(dialog.get_by_label("ids")).to_have_value(f"{LARGE}, {LARGE + 2}")
    expect(dialog.get_by_label("anything")).to_have_value(f'{{"id":{LARGE},"share":1.0}}')
    expect(dialog.get_by_label("one_of")).to_have_value(str(LARGE))
    visit.press("Run")
    expect(page.get_by_role("heading", name=f"Run {run + 1} of Large numbers")).to_be_visible()
    expect(page.get_by_label("Block words")).to_contain_text(
        f"{LARGE} [{LARGE},{LARGE + 2}] 1 {LARGE} {LARGE}"
    )
    assert read_parameters(service, report) == {
        "id": LARGE,
        "ids": [LARGE, LARGE + 2],
        "anything": {"id": LARGE, "share": 1.0},
        "one_of": LARGE,
        "extra": LARGE,
    }
    visit.follow("Runs")
    expect(page.get_by_role("row").nth(1)).to_contain_text(f"id={LARGE}")


def test_default_with_many_digits_is_shown_and_saved_with_all_of_them(
    service: ServiceProcess, visit: Visit
) -> None:
    report = make_report(
        service,
        "Large default",
        ("parameter", "id", {"type": "any", "default": LARGE, "choices": [1, LARGE]}),
    )
    page = visit.enter(f"app/reports/{report}")
    block = page.get_by_label("Block id")
    expect(block).to_contain_text(f"default {LARGE}, one of 1, {LARGE}")
    page.get_by_role("button", name="Edit id").click()
    expect(block.get_by_label("Default")).to_have_value(str(LARGE))
    block.get_by_label("Title").fill("The id")
    visit.press("Save")
    visit.wait_for_notice("“id” is saved")
    row = service.client.get(f"/api/v1/report/{report}").json()["result"]["blocks"][0]
    saved = service.client.get(f"/api/v1/block/{row['uid']}").json()["result"]["content_json"]
    assert f'"default": {LARGE}' in saved
    assert f'"choices": [1, {LARGE}]' in saved
