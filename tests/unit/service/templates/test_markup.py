"""Values in HTML and Markdown are text, whatever they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_pushmetrics.service.results.values import write_text
from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError
from airflow_provider_pushmetrics.service.templates.html import put_into_html, sanitize_mail, sanitize_page
from airflow_provider_pushmetrics.service.templates.markdown import (
    check_slack_length,
    write_markdown_as_html,
    write_markdown_for_slack,
)
from airflow_provider_pushmetrics.service.templates.markup import Fragment, render_entries, render_markup
from tests.fakes.markup import HOSTILE, find_links, find_structure

MARKDOWN = """# {{ x }}

**{{ x }}**, [{{ x }}]({{ x }}), <https://example.com/{{ x }}>, `{{ x }}`{{ x }}
{{ x }}

- {{ x }}
- a {{ x | safe }} b

1. {{ x | e }}

| {{ x }} | b |
|:--|--:|
| {{ x }} | 1 |

> {{ x }}

```
{{ x }}
```

{{ x }}
![{{ x }}](https://example.com/{{ x }}.png)
{% for y in [x, x] %}
{{ loop.index }}. {{ y ~ x }}
{% endfor %}
"""

HTML = """<html><head><title>t</title><style>p { color: red }</style></head><body class="b">
<h1>{{ x }}</h1><!-- {{ x }} --><p title="{{ x }}" style='color: red'>{{ x }}<br>{{ x | safe }}</p>
<a href="{{ x }}">{{ x }}</a> <a href='https://example.com/?q={{ x }}'>1 < 2 {{ x | trim }}</a>
<table><tr><td align="right">{{ x | tojson }}</td><td>{{ [x] }}</td></tr></table></body></html>"""


def write_mail_of_markdown(**names: Any) -> str:
    return sanitize_mail(write_markdown_as_html(render_markup(MARKDOWN, names, write_text)))


def write_page(**names: Any) -> str:
    return sanitize_page(write_markdown_as_html(render_markup(MARKDOWN, names, write_text)))


def write_mail_of_html(**names: Any) -> str:
    markup = render_markup(HTML, names, write_text)
    return sanitize_mail(put_into_html(markup, markup.source))


WRITERS = [write_mail_of_markdown, write_page, write_mail_of_html]


@cache
def find_harmless_structure(write: Callable[..., str]) -> list[tuple[str, ...]]:
    return find_structure(write(x="harmless"))


def check(write: Callable[..., str], value: Any) -> None:
    html = write(x=value)
    assert find_structure(html) == find_harmless_structure(write)
    for link in find_links(html):
        assert not link.lower().lstrip().startswith(("javascript:", "vbscript:", "data:"))


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("value", [*HOSTILE, 7, None, [1, "<b>"], {"<b>": "**x**"}], ids=repr)
def test_hostile_value_is_text(write: Callable[..., str], value: Any) -> None:
    check(write, value)


ANY = st.one_of(st.text(max_size=40), st.text("<>&\"'`*_[]()!#|~-=\\:/\n \t{}%ax1\x00", max_size=40))


@pytest.mark.parametrize("write", WRITERS)
@settings(deadline=None, max_examples=50)
@given(value=ANY)
@example(value="=\n-")
def test_any_value_leaves_the_elements_as_they_are(write: Callable[..., str], value: str) -> None:
    check(write, value)


class Text(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.feed(html)
        self.close()

    def handle_data(self, data: str) -> None:
        self.text += data


@settings(deadline=None)
@given(value=st.text(st.characters(codec="utf-8", exclude_characters="\x00\r\n\x0c"), max_size=40))
def test_reader_sees_the_value_as_it_is(value: str) -> None:
    markup = render_markup("a {{ x }} b", {"x": value}, write_text)
    for html in (put_into_html(markup, markup.source), write_markdown_as_html(markup)):
        assert f"a {value} b" in Text(sanitize_mail(html)).text.replace("\n", "") or value != value.strip()
    assert markup.write_text() == f"a {value} b"


def test_author_s_markup_works() -> None:
    html = write_mail_of_markdown(x="v")
    for expected in ("<h1>v</h1>", "<strong>v</strong>", "<code>v</code>", '<td align="right">1</td>'):
        assert expected in html
    assert "v<br>\nv" in html
    page = write_page(x="v")
    assert "<img" not in page
    assert "style=" not in page
    mail = write_mail_of_html(x="v")
    assert "p { color: red }" in mail
    assert "<!--" not in mail


def test_line_breaks_of_values_stay() -> None:
    markup = render_markup("<p>{{ x }}</p><p title='{{ x }}'></p>", {"x": "a\r\nb\nc"}, write_text)
    html = put_into_html(markup, markup.source)
    assert "a<br>\nb<br>\nc" in html
    assert "title='a\r\nb\nc'" in html


@pytest.mark.parametrize(
    "html",
    [
        "<{{ x }}>",
        "</{{ x }}>",
        "<!{{ x }}>",
        "<a href={{ x }}>",
        "<a {{ x }}='1'>",
        '<a title="a"{{ x }}>',
        '<a "{{ x }}">',
        '<a href="{{ x }}',
        "<a title='{{ x }} >",
        "<{{ x }} b",
        "<script>{{ x }}</script>",
        "<SCRIPT>{{ x }}",
        "<style>a { color: {{ x }} }</style>",
        "<textarea>{{ x }}</textarea>",
    ],
)
def test_value_in_a_place_where_it_could_become_markup_is_refused(html: str) -> None:
    markup = render_markup(html, {"x": "v"}, write_text)
    with pytest.raises(BlockTemplateError, match="where it could become markup: write it between tags"):
        put_into_html(markup, markup.source)


@pytest.mark.parametrize(
    "source",
    [
        "{% set y %}{{ x }}{% endset %}{{ y }}",
        "{% filter upper %}{{ x }}{% endfilter %}",
        "{% macro m() %}{{ x }}{% endmacro %}{{ m() }}",
        "{% autoescape false %}{{ x }}{% endautoescape %}",
        "{% for a in [1] recursive %}{{ a }}{{ loop([2]) if a == 1 }}{% endfor %}",
    ],
)
def test_construct_that_makes_text_of_values_is_refused(source: str) -> None:
    with pytest.raises(BlockTemplateError, match="HTML and Markdown cannot have"):
        render_markup(source, {"x": "v"}, write_text)


def test_fragment_stands_as_it_is_and_by_itself() -> None:
    fragment = Embedded()
    markup = render_markup("a\n\n{{ t }}\n\n{{ t ~ '' }}", {"t": fragment}, write_text)
    assert write_markdown_as_html(markup) == "<p>a</p>\n<table></table>\n<p>as text</p>\n"
    markup = render_markup("<a title='{{ t }}'>", {"t": fragment}, write_text)
    with pytest.raises(BlockTemplateError, match="cannot be in an attribute"):
        put_into_html(markup, markup.source)


class Embedded:
    def embed(self) -> Fragment:
        return Fragment("<table></table>", "as text")

    def __str__(self) -> str:
        return "as text"


def test_markup_that_is_too_long_is_refused() -> None:
    markup = render_markup("{{ x }}" + "a" * 150_000, {"x": 1}, write_text)
    with pytest.raises(BlockTemplateError, match="more than 100000 characters"):
        write_markdown_as_html(markup)


# --- Slack ------------------------------------------------------------------------------------------------


def write_slack(source: str, **names: Any) -> str:
    return write_markdown_for_slack(render_markup(source, names, write_text))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain 1.5", "plain 1.5"),
        ("<!channel>", "&lt;!channel&gt;"),
        ("<@U1|x>", "&lt;@U1\\|x&gt;"),
        ("a & b", "a &amp; b"),
        ("**b** _i_ `c`", "\\*\\*b\\*\\* \\_i\\_ \\`c\\`"),
        ("[x](https://evil.example)", "\\[x\\](https://evil.example)"),
        ("# h\n\n  - i\n1. n", "\\# h\n\\- i\n1\\. n"),
        ("-5", "-5"),
    ],
)
def test_value_in_slack_s_markdown_is_text(value: str, expected: str) -> None:
    assert write_slack("{{ x }}", x=value) == expected


@settings(deadline=None)
@given(value=ANY)
def test_no_value_mentions_anybody_in_slack(value: str) -> None:
    text = write_slack("a {{ x }} [l](https://e.example/{{ x }}) <https://e.example/{{ x }}>", x=value)
    assert text.count("<") == text.count(">") == 1
    assert "<https://e.example/" in text
    assert " " not in text[text.index("<https") :]


def test_mention_takes_an_id_and_nothing_else() -> None:
    assert write_slack("<@{{ x }}> <#{{ x }}> <!here>", x="U024BE7LH") == "<@U024BE7LH> <#U024BE7LH> <!here>"
    for source, value in (
        ("<{{ x }}>", "!channel"),
        ("<!{{ x }}>", "channel"),
        ("<@{{ x }}>", "here> <!channel"),
        ("<{{ x }}|label>", "https://example.com"),
        ("<!subteam^{{ x }}>", "S1"),
    ):
        with pytest.raises(BlockTemplateError, match="could read it as a mention"):
            write_slack(source, x=value)


def test_message_that_slack_would_not_take_is_refused() -> None:
    with pytest.raises(BlockTemplateError, match="has 12001 characters, and Slack accepts 12000"):
        check_slack_length(write_slack("{{ x }}", x="a" * 12_001))


def test_table_in_slack_is_code() -> None:
    class Table:
        def embed(self) -> Fragment:
            return Fragment("", "a  <b>\n```")

    assert write_slack("{{ t }}", t=Table()) == "\n```\na  &lt;b&gt;\n\u02cb\u02cb\u02cb\n```\n"


# --- entries ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "value", "expected"),
    [
        ("{{ x }}", "a, b; c\nd", ["a, b; c\nd"]),
        ("{{ x }}@example.com", "a", ["a@example.com"]),
        (" {{ x }} ", ["a@b.de", "c, d"], ["a@b.de", "c, d"]),
        ("{{ x }}", [], []),
        ("{{ x }}", ("a", 1), ["a", "1"]),
        ("{% if x %}a{% endif %}", 1, ["a"]),
    ],
)
def test_entry_is_one_text_or_one_for_each_item_of_a_list(
    source: str, value: Any, expected: list[str]
) -> None:
    assert render_entries(source, {"x": value}, write_text) == expected


def test_list_among_other_text_is_refused() -> None:
    with pytest.raises(BlockTemplateError, match="a list is combined with other text"):
        render_entries("{{ x }}@example.com", {"x": ["a", "b"]}, write_text)
