"""Charts are drawn within bounds, and with nothing but what is in them."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_pushmetrics.service.charts.drawing import CHILDREN, MAX_DRAWINGS, DrawingError, draw
from airflow_provider_pushmetrics.service.charts.pictures import DrawnChart
from airflow_provider_pushmetrics.service.charts.spec import ChartRows, build_chart
from airflow_provider_pushmetrics.service.datasources.base import Stopper
from airflow_provider_pushmetrics.service.datasources.watchdog import watch
from tests.fakes.service_subscriber import listen

ENCODING = {"x": {"field": "a", "type": "nominal"}, "y": {"field": "b", "type": "quantitative"}}


def write(data: dict[str, Any], **more: Any) -> str:
    return json.dumps({"mark": "bar", "encoding": ENCODING, "data": data, **more})


def test_rows_become_images_with_their_text_as_text() -> None:
    drawn = draw(write({"values": [{"a": "<script>x</script>", "b": 2}]}))
    for image in (drawn.light, drawn.dark):
        assert image.startswith(b"<svg")
        assert b"<script" not in image
    assert drawn.light != drawn.dark


def test_value_that_looks_like_an_address_is_drawn_as_the_text_that_it_is() -> None:
    drawn = draw(write({"values": [{"a": "url(x", "b": 2}]}))
    assert b"url(x" in drawn.light


def test_chart_of_a_run_that_must_not_continue_is_not_drawn_to_its_end() -> None:
    endless = {"sequence": {"start": 0, "stop": 10_000}}
    folds = [{"calculate": "sequence(0, 10000)", "as": "a"}, {"flatten": ["a"]}]
    with (
        watch(math.inf, lambda: "the run was cancelled") as stopper,
        pytest.raises(DrawingError, match=r"^the run was cancelled$"),
    ):
        draw(write(endless, transform=folds), stopper)


def test_chart_that_waits_for_a_process_stops_with_its_run() -> None:
    stopper = Stopper()
    stopper.stop("the run was cancelled")
    with ExitStack() as stack:
        for _ in range(MAX_DRAWINGS):
            stack.enter_context(CHILDREN.lease())
        with pytest.raises(DrawingError, match=r"^the run was cancelled$"):
            draw(write({"values": []}), stopper)


@pytest.mark.slow
def test_nothing_is_loaded_from_the_network_or_from_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('[{"a": "SECRET-WORD", "b": 1}]')
    with listen() as server:
        for url in (server.url, f"{server.url}.csv"):
            with pytest.raises(DrawingError, match="not allowed"):
                draw(write({"url": url}))
        assert server.received == []
    for url in (secret.as_uri(), str(secret)):
        try:
            drawn = draw(write({"url": url}))
        except DrawingError:
            continue
        assert b"SECRET-WORD" not in drawn.light


@pytest.mark.parametrize("spec", ["", "not json", '{"mark": 7}'])
def test_what_is_no_chart_is_refused_in_one_line(spec: str) -> None:
    with pytest.raises(DrawingError, match=r"^the chart cannot be drawn: [^\n]+$"):
        draw(spec)


DRAW = """
import sys
from airflow_provider_pushmetrics.service.charts.draw import draw
sys.stdout.buffer.write(draw(sys.stdin.read()).light)
"""


def test_dates_are_the_same_days_in_every_time_zone() -> None:
    """In processes of their own, since the zone is that of a process."""
    encoding = {"x": {"field": "day", "timeUnit": "yearmonth"}, "y": {"field": "n", "type": "quantitative"}}
    rows = [{"day": date(2026, 3, 1), "n": 1}, {"day": date(2026, 4, 1), "n": 2}]
    chart = build_chart(
        {"mark": "bar", "encoding": encoding}, ChartRows("rows", ["day", "n"], ["day"], rows), {}
    )
    drawn = [
        subprocess.run(
            [sys.executable, "-c", DRAW],
            input=chart.encode(),
            env={**os.environ, "TZ": zone},
            check=True,
            capture_output=True,
            timeout=300,
        ).stdout.decode()
        for zone in ("UTC", "America/New_York", "Asia/Tokyo")
    ]
    # Lengths differ by an hour, where the clocks are changed in March.
    words = [re.findall(r">([^<>]+)</text>", picture) for picture in drawn]
    assert "Mar 2026" in words[0]
    assert "Feb 2026" not in words[0]
    assert words == [words[0]] * 3


def test_moments_are_drawn_in_the_time_zone_of_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    encoding = {"x": {"field": "t", "timeUnit": "yearmonthdatehours", "type": "temporal"}}
    rows = [{"t": "2026-03-01T23:30:00+00:00"}]
    spec = json.dumps({"mark": "point", "encoding": encoding, "data": {"values": rows}})
    assert b"Mar 02, 2026 08:00" in draw(spec).light


def test_text_that_svg_cannot_hold_is_drawn() -> None:
    drawn = draw(write({"values": [{"a": "x\x0by\x1f\ufffe", "b": 2}]})).light.decode()
    assert "x\ufffdy\ufffd\ufffd" in drawn


def test_runaway_is_ended() -> None:
    data = {"sequence": {"start": 0, "stop": 10**10, "as": "a"}}
    with pytest.raises(DrawingError):
        draw(write(data), timeout_seconds=3)


def test_chart_that_takes_too_long_says_so() -> None:
    with pytest.raises(DrawingError, match=r"took longer than 0\.01 s"):
        draw(write({"values": []}), timeout_seconds=0.01)


def test_picture_for_a_mail_is_a_png_on_white() -> None:
    picture = draw(write({"values": [{"a": "x", "b": 2}]}, width=100, height=50)).picture
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(picture[16:20], "big") > 200, "two points for one"


def test_pictures_are_what_they_were_after_they_were_kept() -> None:
    drawn = DrawnChart(b"<svg/>", b"<svg></svg>", b"\x89PNG")
    assert DrawnChart.decode(drawn.encode()) == drawn


@pytest.mark.slow
def test_chart_loads_no_image_from_the_network_or_from_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(draw(write({"values": [{"a": "SECRET", "b": 1}]})).picture)
    mark = {"type": "image", "width": 40, "height": 40}
    encoding = {"url": {"field": "u"}, "x": {"value": 20}, "y": {"value": 20}}
    linked = {"href": {"field": "u"}, "x": {"value": 20}}
    with listen() as server:
        for url in (
            server.url,
            f"{server.url}.png",
            secret.as_uri(),
            str(secret),
            "data:image/png;base64,xx",
        ):
            data = {"values": [{"u": url}]}
            for spec in (
                {"mark": mark, "encoding": encoding, "data": data},
                {"mark": "point", "encoding": linked, "data": data},
                {
                    "mark": "point",
                    "encoding": {"x": {"value": 20}, "fill": {"value": f"url({url})"}},
                    "data": data,
                },
            ):
                with pytest.raises(DrawingError, match="a chart cannot"):
                    draw(json.dumps(spec))
        assert server.received == []
