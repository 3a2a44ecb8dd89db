from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_pushmetrics.client.models import FeedEvent
from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.triggers.event_filters import EventChoice, load_predicate

HERE = __name__
NO_FUNCTION = 7


def has_three_queries(body: dict[str, Any]) -> bool:
    return len(body.pop("queries")) == 3


async def decide_later(body: dict[str, Any]) -> bool:
    return False


class DecidesLater:
    async def __call__(self, body: dict[str, Any]) -> bool:
        return False


decides_later = DecidesLater()


def fail(body: dict[str, Any]) -> bool:
    raise LookupError(body["report_id"])


def build_event(**body: Any) -> FeedEvent:
    return FeedEvent(id=5, body={"event": "report.run", "report_id": 1, "queries": [], **body})


def test_without_a_choice_every_event_is_wanted() -> None:
    assert EventChoice().load()(build_event())


@pytest.mark.parametrize(
    ("body", "is_wanted"),
    [
        ({"workspace_id": 4}, True),
        ({"workspace_id": "4"}, True),
        ({"collection_id": 4}, True),  # as the French and Spanish documentation calls it
        ({"workspace_id": 5}, False),
        ({"workspace_id": None}, False),
        ({"workspace_id": "main"}, False),
        ({"workspace_id": [4]}, False),
        ({}, False),
    ],
)
def test_a_workspace_is_known_by_its_number(body: dict[str, Any], is_wanted: bool) -> None:
    assert EventChoice(workspace_id=4).load()(build_event(**body)) is is_wanted


def test_a_workspace_that_only_events_tell_is_not_waited_for_in_vain() -> None:
    event = FeedEvent(id=5, source="api", body={"event": "report.run", "report_id": 1})
    with pytest.raises(PushMetricsParameterError, match="sees the runs of its own workspace only"):
        EventChoice(workspace_id=4).load()(event)
    assert EventChoice().load()(event)


def test_a_function_is_asked_about_a_copy_of_the_body() -> None:
    accepts = EventChoice(event_filter=f"{HERE}.has_three_queries").load()
    event = build_event(queries=[1, 2, 3])
    assert accepts(event)
    assert accepts(event)  # the function took the queries out of its own copy only
    assert not accepts(build_event())


def test_a_function_is_asked_only_about_events_of_the_workspace() -> None:
    assert not EventChoice(4, f"{HERE}.fail").load()(build_event(workspace_id=5))


def test_a_function_that_fails_is_named_with_the_event_and_its_error() -> None:
    accepts = EventChoice(event_filter=f"{HERE}.fail").load()
    with pytest.raises(PushMetricsParameterError, match=r"fail' failed on event 5: LookupError: 1"):
        accepts(build_event())


@pytest.mark.parametrize(
    "path",
    ["is_wanted", "", " ", ".", "no.such.module.is_wanted", f"{HERE}.no_such_name", "os.path.", "..x"],
)
def test_a_path_that_leads_nowhere_says_what_it_must_be(path: str) -> None:
    with pytest.raises(PushMetricsParameterError, match="It must be the import path of a function"):
        load_predicate(path)


def test_a_path_that_leads_to_something_else_is_refused() -> None:
    with pytest.raises(PushMetricsParameterError, match="which is not a function but 7"):
        load_predicate(f"{HERE}.NO_FUNCTION")


def test_a_module_that_fails_when_it_is_imported_says_what_the_path_must_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "module_that_fails.py").write_text("raise RuntimeError('boom')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PushMetricsParameterError, match=r"cannot be imported: boom\. It must be the import"):
        load_predicate("module_that_fails.is_wanted")


def test_a_function_that_answers_later_is_refused() -> None:
    with pytest.raises(PushMetricsParameterError, match="which is an async function"):
        load_predicate(f"{HERE}.decide_later")


def test_an_answer_that_comes_later_is_no_yes() -> None:
    accepts = EventChoice(event_filter=f"{HERE}.decides_later").load()
    with pytest.raises(PushMetricsParameterError, match="it must return true or"):
        accepts(build_event())
