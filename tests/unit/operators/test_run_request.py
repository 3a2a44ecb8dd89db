from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_pushmetrics.client.calls import CheckedParameters, check_parameters
from airflow_provider_pushmetrics.client.models import Report
from airflow_provider_pushmetrics.client.waits import RunTarget
from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.operators.run_request import (
    RunRequest,
    describe_unknown_parameters,
    read_request,
    restore_none,
)

REPORT = Report.model_validate(
    {
        "id": 1,
        "blocks": [
            {"name": "origin", "type": "parameter"},
            {"name": "month", "type": "parameter"},
            {"name": "by_carrier", "type": "sql"},
        ],
    }
)


def build_request(**parameters: Any) -> RunRequest:
    return RunRequest("1", CheckedParameters(parameters))


# What no template made


@pytest.mark.parametrize(
    ("template", "rendered", "found"),
    [
        ({"origin": "{{ params.origin }}"}, {"origin": "None"}, {"origin": None}),
        ({"origin": "None"}, {"origin": "None"}, {"origin": "None"}),
        ({"origin": "{{ params.origin }}"}, {"origin": "JFK"}, {"origin": "JFK"}),
        ({"origin": "{{ params.origin }}"}, {"origin": None}, {"origin": None}),
        ({"text": "from {{ x }}"}, {"text": "from None"}, {"text": "from None"}),
        ({"list": ["{{ x }}", "None"]}, {"list": ["None", "None"]}, {"list": [None, "None"]}),
        ({"in": {"deep": "{{ x }}"}}, {"in": {"deep": "None"}}, {"in": {"deep": None}}),
        ({"n": 5}, {"n": 5}, {"n": 5}),
    ],
)
def test_a_template_that_gave_none_gives_none_and_not_the_text_of_it(
    template: Any, rendered: Any, found: Any
) -> None:
    assert restore_none(rendered, template) == found
    assert read_request(1, rendered, template).parameters == found


def test_parameters_that_are_a_template_as_a_whole_must_give_a_dictionary() -> None:
    with pytest.raises(PushMetricsParameterError, match="must be a dictionary"):
        read_request(1, "None", "{{ params.all }}")


def test_parameters_are_checked_once() -> None:
    checked = check_parameters({"origin": "JFK"})
    assert check_parameters(checked) is checked


# What the report does not have


def test_a_parameter_that_the_report_does_not_have_is_named_with_those_that_it_has() -> None:
    assert describe_unknown_parameters(build_request(orign="JFK", month=2), REPORT) == (
        "report '1' has no Parameter block called 'orign'; it has 'origin', 'month'."
    )


def test_a_block_of_another_type_is_no_parameter() -> None:
    assert "called 'by_carrier'" in str(describe_unknown_parameters(build_request(by_carrier=1), REPORT))


def test_parameters_that_the_report_has_are_not_told_of() -> None:
    assert describe_unknown_parameters(build_request(origin="JFK"), REPORT) is None


def test_a_server_that_does_not_list_blocks_cannot_say() -> None:
    with pytest.raises(PushMetricsParameterError, match="does not list the blocks of report '1'"):
        describe_unknown_parameters(build_request(origin="JFK"), Report(id=1))


# The digest of the parameters


def test_parameters_are_those_of_the_run_only_if_they_have_its_digest() -> None:
    request = build_request(month=2, origin="JFK")
    target = RunTarget("1", 7, parameters_digest=request.compute_digest("a-token"))
    assert build_request(origin="JFK", month=2).find_sent(target, "a-token") == request.parameters
    assert build_request(month=3, origin="JFK").find_sent(target, "a-token") is None
    assert request.find_sent(RunTarget("1", 7), "a-token") is None


def test_parameters_cannot_be_guessed_by_their_digest_without_the_token_of_the_trigger() -> None:
    request = build_request(password="a")
    target = RunTarget("1", 7, parameters_digest=request.compute_digest("a-token"))
    assert request.find_sent(target, "another-token") is None
    assert request.find_sent(target, None) is None
