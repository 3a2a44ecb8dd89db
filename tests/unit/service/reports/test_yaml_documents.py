"""Which YAML is taken as that of a report."""

from __future__ import annotations

import time

import pytest

from airflow_provider_pushmetrics.service.reports.authoring import MAX_BLOCKS
from airflow_provider_pushmetrics.service.reports.block_types import ContentError
from airflow_provider_pushmetrics.service.reports.yaml_documents import parse_config

REPORT = "name: Orders\nblocks:\n- name: note\n  type: text\n  content: {text: hello}\n"

HOSTILE_DOCUMENTS = {
    "open brackets": ("[" * 100_000, "nested deeper than 64"),
    "closed brackets": ("[" * 100_000 + "]" * 100_000, "nested deeper than 64"),
    "open mappings": ('{"a":' * 40_000, "nested deeper than 64"),
    "lists in lists": ("- " * 100_000, "nested deeper than 64"),
    "keys in keys": ("? " * 100_000, "nested deeper than 64"),
    "deep indents": ("\n".join(" " * depth + "a:" for depth in range(700)), "nested deeper than 64"),
    "many values": ("[" + "1," * 100_000 + "]", "more than 20000 values"),
    "many keys": ("{" + ",".join(f"a{number}: " for number in range(30_000)) + "}", "more than 20000 values"),
    "a key twice": (REPORT + "name: Sales\n", "the key 'name' twice, again in line 6: remove one"),
    "a key of a block twice": (REPORT + "  type: sql\n", "the key 'type' twice, again in line 6"),
    "a number twice": (REPORT + "- name: b\n  type: text\n  content: {1: a, 0x1: b}\n", "the key 1 twice"),
    "many merges": ("{" + "<<: {}," * 30_000 + "}", "more than 20000 values"),
    "many blocks": (REPORT + "- name: b\n  type: text\n  content: {}\n" * MAX_BLOCKS, "at most 500 blocks"),
    "a long number": ("name: " + "1" * 200_000, "a number of more than 400 characters"),
    "a number by sixties": ("name: 1" + ":1" * 100_000, "a number of more than 400 characters"),
    "an alias": ("a: &a [1]\nb: *a", r"an alias \(\*a\): write the value out"),
    "an alias of itself": ("a: &a [*a]", "an alias"),
    "aliases of aliases": (
        "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{f'*a{n - 1},' * 9}]\n" for n in range(1, 9)),
        "an alias",
    ),
    "a list as a key": ("{" + "[1]: 2," * 3_000 + "}", "unhashable key"),
    "directives": ("%a\n" * 80_000, "not valid YAML"),
    "a long tag": ("!" * 200_000, "not valid YAML"),
    "two documents": ("---\n" * 5_000, "another document"),
    "too much of anything": ("x" * 300_000, "longer than 262144 characters"),
}


@pytest.mark.parametrize(("text", "reason"), HOSTILE_DOCUMENTS.values(), ids=HOSTILE_DOCUMENTS)
def test_hostile_document_is_refused_at_once_and_told_why(text: str, reason: str) -> None:
    began = time.process_time()
    with pytest.raises(ContentError, match=reason):
        parse_config(text)
    assert time.process_time() - began < 5


def test_document_of_a_report_is_read() -> None:
    draft = parse_config(REPORT)
    assert draft.name == "Orders"
    assert [(block.type, block.name, block.content) for block in draft.blocks] == [
        ("text", "note", {"text": "hello"})
    ]


def test_largest_report_is_read_at_once() -> None:
    block = "- name: note\n  type: text\n  content: {text: hello, more: [1, 2, 3], other: {a: b}}\n"
    began = time.process_time()
    draft = parse_config("name: Orders\nblocks:\n" + block * MAX_BLOCKS)
    assert len(draft.blocks) == MAX_BLOCKS
    assert time.process_time() - began < 15  # on a busy machine; what repeats itself takes minutes


def test_dates_stay_text_and_numbers_are_numbers() -> None:
    text = (
        "name: a\nblocks:\n- name: n\n  type: text\n  content: {a: 2026-03-01, b: 1.5, c: 7, d: 190:20:30}\n"
    )
    assert parse_config(text).blocks[0].content == {"a": "2026-03-01", "b": 1.5, "c": 7, "d": 685230}
