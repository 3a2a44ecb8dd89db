"""The text part of mails is made for reading."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_pushmetrics.service.templates.plain_text import write_plain_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>one\n  two</p><p>three<br>four</p>", "one two\n\nthree\nfour\n"),
        ("<h1>Title</h1><p>x</p>", "Title\n=====\n\nx\n"),
        ('<a href="https://e.example/?a=1&amp;b=2">here</a>', "here (https://e.example/?a=1&b=2)\n"),
        ('<a href="https://e.example">https://e.example</a>', "https://e.example\n"),
        ('<a href="mailto:a@b.de">a@b.de</a>', "a@b.de\n"),
        ("<ul><li>a</li><li>b<ol><li>x</li><li>y</li></ol></li></ul>", "- a\n- b\n  1. x\n  2. y\n"),
        ('<ol start="9"><li>a</li><li>b<br>c</li></ol>', "9. a\n10. b\n    c\n"),
        ("<blockquote><p>a</p><p>b</p></blockquote>", "> a\n>\n> b\n"),
        ("<pre>a\n  b</pre>", "a\n  b\n"),
        ("a<hr>b", "a\n\n" + "-" * 40 + "\n\nb\n"),
        ('<img src="cid:1" alt="chart">', "[chart]\n"),
        ("<style>p {}</style><p>&lt;b&gt; &amp;</p>", "<b> &\n"),
        ("", "\n"),
        (
            '<table><tr><th>name</th><th align="right">n</th></tr>'
            '<tr><td>a b</td><td align="right">1.5</td></tr>'
            '<tr><td>c</td><td align="right">20</td></tr></table>',
            "name    n\n---------\na b   1.5\nc      20\n",
        ),
        (
            "<table><tr><td><p>left</p></td><td><table><tr><td>a</td><td>b</td></tr></table></td></tr></table>",
            "left\na  b\n",
        ),
        ("<table><tr><td>only</td></tr><tr><td>cells</td></tr></table>", "only\ncells\n"),
        ("</p></div>x<b>y", "xy\n"),
    ],
)
def test_html_becomes_readable_text(html: str, text: str) -> None:
    assert write_plain_text(html) == text


def test_deep_nesting_is_read_without_recursion() -> None:
    assert write_plain_text("<div>" * 5000 + "x" + "</div>" * 5000) == "x\n"
    for tags in ("<ul><li>", "<table><tr><td>", "<blockquote>", "<b>"):
        assert "x" in write_plain_text(tags * 5000 + "x")


@settings(deadline=None)
@given(st.text("<>/abpulitrdh =\"'&;\n", max_size=200))
def test_any_html_has_a_text(html: str) -> None:
    assert write_plain_text(html).endswith("\n")
