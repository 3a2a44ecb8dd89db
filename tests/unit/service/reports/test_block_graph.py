"""The order of blocks follows their references."""

from __future__ import annotations

import pytest

from airflow_provider_pushmetrics.service.reports.block_graph import (
    CHART,
    EMAIL,
    PARAMETER,
    SQL,
    TEXT,
    PlanError,
    PlannedBlock,
    plan_unsaved,
    plan_waves,
    read_graph,
    select_with_needs,
)


def build_blocks(**templates: str | None) -> list[PlannedBlock]:
    """Build SQL blocks by name; None makes a parameter."""
    return [
        PlannedBlock(
            id=position,
            uid=name,
            position=position,
            name=name,
            type=PARAMETER if template is None else SQL,
            content={} if template is None else {"sql": template},
            query_id=None if template is None else position,
        )
        for position, (name, template) in enumerate(templates.items())
    ]


def list_names(waves: list[list[PlannedBlock]]) -> list[list[str]]:
    return [[block.name for block in wave] for wave in waves]


def test_blocks_without_references_run_together() -> None:
    assert list_names(plan_waves(build_blocks(a="1", b="2"))) == [["a", "b"]]


def test_page_order_does_not_matter() -> None:
    blocks = build_blocks(last="{{ middle.data }}", middle="{{ first.data }}", first="1")
    assert list_names(plan_waves(blocks)) == [["first"], ["middle"], ["last"]]


def test_parameters_come_before_the_blocks_that_use_them() -> None:
    blocks = build_blocks(q="{{ params.month }} {{ origin }}", month=None, origin=None)
    assert list_names(plan_waves(blocks)) == [["month", "origin"], ["q"]]


def test_circle_is_refused_and_named() -> None:
    with pytest.raises(PlanError, match=r"references: .*a.*b|references: .*b.*a"):
        plan_waves(build_blocks(a="{{ b.data }}", b="{{ a.data }}"))


def test_block_that_refers_to_itself_is_a_circle() -> None:
    with pytest.raises(PlanError, match="a -> a"):
        plan_waves(build_blocks(a="{{ a }}"))


def test_text_of_a_query_needs_what_that_query_needs_but_not_its_run() -> None:
    waves = plan_waves(build_blocks(origin=None, inner="{{ origin }}", outer="SELECT * FROM ({{ inner }})"))
    outer = next(block for wave in waves for block in wave if block.name == "outer")
    assert outer.needs == {"origin"}


def test_output_of_a_query_needs_its_run() -> None:
    waves = plan_waves(build_blocks(inner="1", outer="{{ inner.data }}"))
    assert waves[1][0].needs == {"inner"}


def test_broken_template_is_left_to_its_block() -> None:
    assert list_names(plan_waves(build_blocks(a="{{ oh", b="1"))) == [["a", "b"]]


def test_one_block_and_its_needs_are_selected() -> None:
    waves = plan_waves(build_blocks(p=None, a="{{ p }}", b="1", c="{{ a.data }}", d="{{ c.data }}"))
    assert list_names(select_with_needs(waves, "c")) == [["p"], ["a"], ["c"]]


def test_text_block_has_its_own_template() -> None:
    block = PlannedBlock(1, "u", 0, "t", TEXT, {"text": "{{ x }}"}, None)
    assert block.template == "{{ x }}"


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (CHART, {}),
        (CHART, {"query": ""}),
        (EMAIL, {"attachments": [{"query": ""}, {}]}),
        (PARAMETER, {"choices": {"query": ""}}),
    ],
)
def test_query_that_is_not_chosen_yet_is_no_missing_reference(kind: str, content: dict[str, object]) -> None:
    graph = read_graph([plan_unsaved(content, uid="new", type=kind, name="new")])
    assert (graph.uses, graph.missing) == ({"new": frozenset()}, {})
