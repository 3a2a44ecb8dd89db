"""Hypothesis strategies for whatever a sender may write: any JSON, any text, and values that did harm."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

HARMFUL_TEXTS = (
    "\0",
    "a\0b",
    "\ud800",
    "\udfff\ud800",
    "\ufffd",
    "__classname__",
    "__id__",
    "__type",
    "__var",
)
HARMFUL_INTEGERS = (2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**400)
HARMFUL_FLOATS = (float("nan"), float("inf"), float("-inf"), 1e308, 5e-324, -0.0)
HARMFUL_OBJECTS: tuple[dict[str, Any], ...] = (
    {"__classname__": "builtins.tuple", "__version__": 1, "__data__": [1]},
    {"__type": "airflow.sdk.definitions.connection.Connection", "__var": {"conn_id": "a"}},
    {"__type": "dict", "__var": {"a": 1}},
    {"__id__": 1, "__id___": 2, "a\0": 3, "a\ufffd": 4},
)

TEXTS = st.text(st.characters(codec=None)) | st.sampled_from(HARMFUL_TEXTS)
"""Any text, lone surrogates included."""

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | TEXTS
    | st.sampled_from(HARMFUL_INTEGERS)
    | st.sampled_from(HARMFUL_FLOATS)
)
JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS | st.sampled_from(HARMFUL_OBJECTS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
JSON_OBJECTS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(TEXTS, JSON_VALUES, max_size=5)


def nest(depth: int, leaf: Any = None) -> Any:
    """Nest lists and objects in turn so deep."""
    for level in range(depth):
        leaf = [leaf] if level % 2 else {"a": leaf}
    return leaf
