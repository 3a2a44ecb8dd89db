from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.event_ids import read_event_ids
from airflow_provider_pushmetrics.event_matching import EventFilter, FilterIndex, Subject, read_subject
from airflow_provider_pushmetrics.receiver.endpoints.parsing import parse_webhook
from airflow_provider_pushmetrics.receiver.errors import BadRequest
from airflow_provider_pushmetrics.receiver.inbox.records import IncomingWebhook
from tests.fakes.json_values import JSON_VALUES

OUTPUTS = "https://h/api/reports/1/run/7"
RESULT = "https://h/api/reports/1/queries/5/run/9"
RUN = Subject("demo", "report.run", 1, None, 7)


@pytest.mark.parametrize(
    ("wanted", "is_wanted"),
    [
        (EventFilter(), True),
        (EventFilter("report.run", 1, None, 7, "demo"), True),
        (EventFilter(report_id=1), True),
        (EventFilter(source="other"), False),
        (EventFilter(query_id=1), False),
        (EventFilter(run_id=8), False),
    ],
)
def test_a_filter_gives_the_same_answer_for_a_delivery_and_for_a_stored_event(
    wanted: EventFilter, is_wanted: bool
) -> None:
    delivery = IncomingWebhook("demo", "id:1", b"{}", "report.run", report_id=1, run_id=7)
    assert wanted.matches(delivery) is wanted.matches(RUN) is is_wanted


def test_a_filter_names_only_the_facts_that_it_asks_for() -> None:
    assert EventFilter("report.run", report_id=0).get_wanted() == {"event": "report.run", "report_id": 0}


FILTERS = st.builds(
    EventFilter,
    st.none() | st.sampled_from(["report.run", "query.run"]),
    st.none() | st.integers(0, 2),
    st.none() | st.integers(0, 2),
    st.none() | st.integers(0, 2),
    st.none() | st.sampled_from(["demo", "other"]),
)
SUBJECTS = st.builds(
    Subject,
    st.none() | st.sampled_from(["demo", "other"]),
    st.none() | st.sampled_from(["report.run", "query.run"]),
    st.none() | st.integers(0, 2),
    st.none() | st.integers(0, 2),
    st.none() | st.integers(0, 2),
)


@given(st.lists(FILTERS, max_size=20), st.lists(SUBJECTS, max_size=4))
def test_the_index_finds_exactly_those_whose_filter_matches(
    filters: list[EventFilter], subjects: list[Subject]
) -> None:
    index: FilterIndex[int] = FilterIndex()
    for number, wanted in enumerate(filters):
        index.add(wanted, number)
    expected = [n for n, wanted in enumerate(filters) if any(map(wanted.matches, subjects))]
    assert sorted(index.find(subjects)) == expected
    assert sorted(index) == list(range(len(filters)))


@given(st.lists(FILTERS, max_size=20))
def test_members_that_were_removed_leave_nothing(filters: list[EventFilter]) -> None:
    index: FilterIndex[int] = FilterIndex()
    for number, wanted in enumerate(filters):
        index.add(wanted, number)
    for number, wanted in enumerate(filters):
        index.remove(wanted, number)
    assert not vars(index)["_groups"]


def test_an_event_without_facts_is_wanted_by_a_filter_for_any_alone() -> None:
    subject = read_subject(None, {"event": ["report.run"], "report_id": True})
    assert subject == Subject(None, None, None, None, None)
    assert EventFilter().matches(subject)
    assert not EventFilter("report.run").matches(subject)


IDS = st.integers(-2, 12) | st.sampled_from(["1", "-1", 2**63, 2**63 - 1]) | JSON_VALUES
URLS = st.sampled_from([OUTPUTS, RESULT, "http://[/api/reports/1/run/4", OUTPUTS + "\n", ""]) | JSON_VALUES
BODIES = st.fixed_dictionaries(
    {},
    optional={"report_id": IDS, "query_id": IDS, "report_notebook_outputs": URLS, "query_result": URLS},
)


@given(BODIES, FILTERS)
def test_the_triggers_want_an_event_exactly_where_the_receiver_finds_it(
    fields: dict[str, Any], wanted: EventFilter
) -> None:
    body = {**fields, "event": "report.run"}
    subject, ids = read_subject("demo", body), read_event_ids(body)
    assert (subject.report_id, subject.query_id, subject.run_id) == (ids.report_id, ids.query_id, ids.run_id)
    try:
        delivery = parse_webhook("demo", None, json.dumps(body).encode("ascii"))
    except BadRequest:
        return
    assert wanted.matches(subject) is wanted.matches(delivery)
