"""
That values are always bound: the database itself says what it got.

Random templates put hostile values wherever a ``{{ … }}`` may stand, among literals and comments that hold
each other's delimiters. Each value must come back as it was.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from airflow_provider_pushmetrics.service.datasources.base import Source
from airflow_provider_pushmetrics.service.templates.rendering import render_sql
from tests.integration.service.templates.sources import (
    ask,
    open_duckdb,
    open_flight_sql,
    open_server,
    open_sqlite,
)

TEMPLATES = pytest.mark.parametrize("templates", [200, pytest.param(2000, marks=pytest.mark.slow)])
COLUMNS = 8
"""How many templates make one query."""

HOSTILE = [
    *"'\"`\\#?;[]\n\r\t \x7f\x01x1é€𝄞\u00a0\u2028\u02bc\uff07",
    *(
        "\\'",
        "''",
        "--",
        "-- ",
        "/*",
        "*/",
        "$$",
        "$t$",
        "$1",
        ":x",
        "%s",
        "%(x)s",
        "%%",
        "N'",
        "E'",
        "q'[",
        "]'",
    ),
    *("{{ y }}", "{% raw %}", "' or '1'='1", "\\' or 1=1 -- "),
    " or 1=0 union select user,host from mysql.user -- ",
]


@dataclass(frozen=True)
class Case:
    """A template of one column, and what it must give."""

    template: str
    expected: Any


class Maker:
    """Makes random templates for a dialect."""

    def __init__(self, dialect: str, seed: int) -> None:
        self.dialect = dialect
        self.random = random.Random(f"{dialect} {seed}")
        self.texts = [self._single, self._whole]
        if dialect in ("postgresql", "duckdb"):
            self.texts += [self._dollar, self._tagged, self._escaped]
        if dialect == "mysql":
            self.texts += [self._double]

    def make(self, names: dict[str, Any]) -> Case:
        """Make a template of a column; its values come into ``names``."""
        write = self.random.choice([self._plain, *self.texts])
        written, expected = write(names)
        before, after = self._noise(names), self._noise(names)
        forms = ["{}", "({})", "(select{})"]
        if isinstance(expected, str):
            forms += ["case when 1=1 then{}else'-- '''end", "case\nwhen 1=0 then'/*'else{}end"]
        form = self.random.choice(forms)
        return Case(form.format(f"{before}{written}{after}"), expected)

    def text(self) -> str:
        return "".join(self.random.choices(HOSTILE, k=self.random.randint(0, 6)))

    def name(self, names: dict[str, Any], value: Any) -> str:
        name = f"v{len(names)}"
        names[name] = value
        return f"{{{{{self._blank()}{name}{self._blank()}}}}}"

    def _plain(self, names: dict[str, Any]) -> tuple[str, Any]:
        values: list[Any] = [
            self.text(),
            self.text(),
            self.random.randint(-(2**63), 2**63 - 1),
            -3,
            1.5,
            -0.1,
        ]
        values += [
            date(2024, 2, 29),
            datetime(1999, 12, 31, 23, 59, 59, 999999),
            None,
            True,
            Decimal("-0.10"),
        ]
        if self.dialect != "sqlite":
            values += [time(23, 59, 1), Decimal("12345678901234567.89")]
        value = self.random.choice(values)
        return self.name(names, value), value

    def _whole(self, names: dict[str, Any]) -> tuple[str, Any]:
        value = self.text()
        return f"'{self.name(names, value)}'", value

    def _single(self, names: dict[str, Any]) -> tuple[str, Any]:
        escape = _escape_backslash if self.dialect == "mysql" else _double_quotes
        return self._literal(names, "'", "'", escape)

    def _double(self, names: dict[str, Any]) -> tuple[str, Any]:
        return self._literal(names, '"', '"', _escape_backslash)

    def _escaped(self, names: dict[str, Any]) -> tuple[str, Any]:
        return self._literal(names, " E'", "'", _escape_backslash)

    def _dollar(self, names: dict[str, Any]) -> tuple[str, Any]:
        return self._literal(names, " $$", "$$", lambda text: text.replace("$", ""))

    def _tagged(self, names: dict[str, Any]) -> tuple[str, Any]:
        return self._literal(
            names, " $t$", "$t$", lambda text: text.replace("$t$", "$$").rstrip("$"), raw="$t$"
        )

    def _literal(
        self, names: dict[str, Any], opening: str, closing: str, escape: Callable[[str], str], raw: str = ""
    ) -> tuple[str, Any]:
        before, value, after = self._static(), self.text(), self._static()
        if closing.startswith("$"):
            before, after = escape(before), escape(after)
            return f"{opening}{before}{self.name(names, value)}{after}{closing}", before + value + after
        return (
            f"{opening}{escape(before)}{self.name(names, value)}{escape(after)}{closing}",
            before + value + after,
        )

    def _static(self) -> str:
        """Make text of an author, without delimiters of templates, or what Jinja makes a newline."""
        text = self.text()
        for taken in ("{{ y }}", "{% raw %}", "\r"):
            text = text.replace(taken, "")
        return text

    def _noise(self, names: dict[str, Any]) -> str:
        """Make comments that hold what begins and ends literals, and placeholders."""
        inner = (
            self._static().replace("*/", "").replace("/*", "").replace("\n", "").replace("!", "").strip("/*+")
        )
        inner = f" {inner} {self.name(names, self.text())} {inner} "
        comments = ["", "", " ", f"/*{inner}*/", f" --{inner}\n", f"/*'{inner}*/--{inner}\n"]
        if self.dialect == "mysql":
            comments += [f"#{inner}\n", "/* /* */", f" #'{inner}\n#\"\n"]
        if self.dialect in ("postgresql", "duckdb"):
            comments += [f"/* /*{inner}*/ ' */"]
        if self.dialect == "sqlite":
            comments += [f"/* /*{inner}*/"]
        return self.random.choice(comments)

    def _blank(self) -> str:
        return self.random.choice(["", " ", "\n"])


def _double_quotes(text: str) -> str:
    return text.replace("'", "''")


def _escape_backslash(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'").replace('"', '\\"').replace("\n", "\\n")


@pytest.fixture(params=["duckdb", "sqlite", "postgresql", "mysql", "flightsql"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Source]:
    """Open each database in turn."""
    if request.param == "duckdb":
        opened = open_duckdb(tmp_path, request.getfixturevalue("duckdb_pool"))
    elif request.param == "sqlite":
        opened = open_sqlite(tmp_path)
    elif request.param == "flightsql":
        opened = open_flight_sql(request.getfixturevalue("flight_sql_server").port, tmp_path)
    else:
        opened = open_server(
            request.getfixturevalue("mariadb_url" if request.param == "mysql" else "postgres_url"), tmp_path
        )
    yield opened
    opened.close()


@TEMPLATES
def test_hostile_values_come_back_as_they_were_wherever_a_template_puts_them(
    source: Source, templates: int
) -> None:
    maker = Maker(source.dialect.name, seed=1)
    for _ in range(templates // COLUMNS):
        names: dict[str, Any] = {}
        cases = [maker.make(names) for _ in range(COLUMNS)]
        sql = _build_query(source, cases)
        assert ask(source, sql, names) == [
            {f"c{number}": _Same(case.expected) for number, case in enumerate(cases)}
        ], (sql, names)


@TEMPLATES
def test_sql_is_the_same_whatever_its_values_are(source: Source, templates: int) -> None:
    maker = Maker(source.dialect.name, seed=2)
    for _ in range(templates // COLUMNS):
        names: dict[str, Any] = {}
        sql = _build_query(source, [maker.make(names) for _ in range(COLUMNS)])
        harmless = {name: "a" if isinstance(value, str) else value for name, value in names.items()}
        hostile, plain = (render_sql(sql, given, source.dialect) for given in (names, harmless))
        assert hostile.parts == plain.parts


def test_value_makes_no_query_read_another_table(mariadb_url: str, tmp_path: Path) -> None:
    source = open_server(mariadb_url, tmp_path)
    sql = "explain select 1 from information_schema.tables where month(create_time) = '{{ month }} '"
    month = " or 1=0 union select user,host from mysql.user -- "
    hostile, plain = (ask(source, sql, {"month": value}) for value in (month, "1"))
    assert [row["table"] for row in hostile] == [row["table"] for row in plain] == ["tables"]


def _build_query(source: Source, cases: Sequence[Case]) -> str:
    """Build a query of columns; each ends its last comment, and has a name."""
    columns = [f"{case.template}\nas c{number}" for number, case in enumerate(cases)]
    return "select " + "\n,".join(columns)


class _Same:
    """Equals what a database may give for a value, whose types are not our subject."""

    def __init__(self, expected: Any) -> None:
        self._expected = expected

    def __repr__(self) -> str:
        return repr(self._expected)

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, given: object) -> bool:
        expected = self._expected
        if isinstance(expected, str) or expected is None:
            return type(given) is type(expected) and given == expected
        if isinstance(expected, bool):
            return given in (expected, int(expected))
        if isinstance(expected, Decimal | int | float):
            return Decimal(str(given)) == Decimal(str(expected))
        if isinstance(given, pa.MonthDayNano):
            # A time of MariaDB may be longer than a day: it is an interval.
            return bool(given.nanoseconds == _count_nanoseconds(expected))
        return str(given).replace("T", " ") in (str(expected), f"{expected} 00:00:00")


def _count_nanoseconds(time: Any) -> int:
    seconds: int = (time.hour * 60 + time.minute) * 60 + time.second
    return (seconds * 1_000_000 + int(time.microsecond)) * 1000
