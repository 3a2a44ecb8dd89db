from __future__ import annotations

import configparser
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.hooks.frames import build_pandas, import_extra, read_arrow
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook

SETUP = Path(__file__).resolve().parents[3] / "setup.cfg"
EXTRAS = {"arrow": {"pyarrow"}, "pandas": {"pandas", "pyarrow"}, "polars": {"polars", "pyarrow"}}


def write_stream(table: pyarrow.Table) -> bytes:
    buffer = io.BytesIO()
    with pyarrow.ipc.new_stream(buffer, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return buffer.getvalue()


@pytest.mark.parametrize("size", [1, 7, 1_000_000])
def test_a_table_is_read_wherever_the_pieces_begin(size: int) -> None:
    table = pyarrow.table({"a": [1, 2, 3, None], "b": ["x", "", None, "y"]})
    written = write_stream(table)
    pieces = (written[begin : begin + size] for begin in range(0, len(written), size))
    assert read_arrow(pieces) == table


def test_a_stream_that_breaks_off_is_an_error_and_no_short_table() -> None:
    written = write_stream(pyarrow.table({"a": list(range(100))}))
    with pytest.raises(pyarrow.ArrowInvalid, match="Expected to read"):
        read_arrow(iter([written[: len(written) // 2]]))


@pytest.mark.parametrize("extra", sorted(EXTRAS))
def test_the_package_has_an_extra_for_each_kind_of_table(extra: str) -> None:
    setup = configparser.ConfigParser()
    setup.read(SETUP)
    named = setup["options.extras_require"][extra].split()
    assert {name.partition(">=")[0] for name in named} == EXTRAS[extra]


METHODS: dict[str, Callable[[PushMetricsHook, str], Any]] = {
    "arrow": PushMetricsHook.fetch_arrow,
    "pandas": PushMetricsHook.fetch_pandas,
    "polars": PushMetricsHook.fetch_polars,
}


@pytest.mark.parametrize(
    ("extra", "module"), [("arrow", "pyarrow"), ("pandas", "pandas"), ("polars", "polars")]
)
def test_what_is_not_installed_names_its_extra_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, extra: str, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    wanted = rf"{module} is not installed: install airflow-provider-pushmetrics\[{extra}\]"
    with pytest.raises(PushMetricsConfigurationError, match=wanted):
        METHODS[extra](PushMetricsHook("nowhere"), "https://pushmetrics.io/r")


def test_what_is_installed_is_imported() -> None:
    assert import_extra("pyarrow", "arrow") is pyarrow


def test_integers_in_lists_keep_their_digits_in_pandas_where_some_are_missing() -> None:
    rows = [[9_007_199_254_740_993, None], [1, 2], None]
    table = pyarrow.table({"v": pyarrow.array(rows, pyarrow.list_(pyarrow.int64()))})
    cells = build_pandas(table)["v"]
    assert [list(cell) for cell in cells[:2]] == rows[:2]
    assert cells[2] is None
