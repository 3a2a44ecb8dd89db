"""Insert values into HTML as text only, and sanitize HTML."""

from __future__ import annotations

import re
from html import escape

import nh3

from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError
from airflow_provider_pushmetrics.service.templates.markup import Fragment, RenderedMarkup

MAX_HTML_LENGTH = 1_000_000
"""Characters of the author's HTML. Mail programs cut longer mails, some at a tenth of this."""

PIECE = re.compile(
    r"""(?P<comment><!--.*?(?:-->|\Z))
    |(?P<raw><(?P<name>script|style|textarea|title|xmp|iframe|noembed|noframes|noscript|plaintext)\b
        .*?(?:</(?P=name)\b[^>]*>?|\Z))
    |(?P<tag><[A-Za-z/!?](?:[^"'<>]|"[^"]*"|'[^']*')*>)
    |(?P<broken><[A-Za-z/!?][^<]*)
    |(?P<text>[^<]+|<)""",
    re.DOTALL | re.IGNORECASE | re.VERBOSE,
)
"""HTML as a browser divides it. A mark in a part that browsers may divide differently is refused."""

ATTRIBUTE_VALUE = re.compile(r"""=\s*(?:"[^"]*"|'[^']*')""")

LINE_BREAK = re.compile(r"\r\n?|\n")

URL_SCHEMES = {"cid", "http", "https", "mailto", "tel"}

# fmt: off
CONTENT_TAGS = {
    "a", "abbr", "b", "blockquote", "br", "caption", "code", "dd", "del", "div", "dl", "dt", "em", "h1", "h2",
    "h3", "h4", "h5", "h6", "hr", "i", "img", "ins", "kbd", "li", "mark", "ol", "p", "pre", "s", "samp",
    "small", "span", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul",
}
MAIL_TAGS = CONTENT_TAGS | {"article", "center", "col", "colgroup", "font", "footer", "header", "section"}
MAIL_TAGS |= {"style"}
# fmt: on

DROPPED_WITH_CONTENT = {"script", "title"}

TABLE_ATTRIBUTES = {"align", "border", "cellpadding", "cellspacing", "colspan", "rowspan", "valign", "width"}
CONTENT_ATTRIBUTES = {
    "*": {"title", "dir", "lang"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "ol": {"start"},
    **dict.fromkeys(("table", "td", "th", "tr"), TABLE_ATTRIBUTES),
}
MAIL_ATTRIBUTES = {
    **CONTENT_ATTRIBUTES,
    "*": {"title", "dir", "lang", "style", "class", "bgcolor", "height"},
    "font": {"color", "face", "size"},
    "col": {"width", "span"},
}


def put_into_html(markup: RenderedMarkup, html: str) -> str:
    """
    Insert values into the text of HTML, and into quoted values of attributes.

    :param html: HTML with the marks of ``markup``.
    :raises BlockTemplateError: for a value in another position, where it could become markup.
    """
    if len(html) > MAX_HTML_LENGTH:
        raise BlockTemplateError(f"the HTML has more than {MAX_HTML_LENGTH} characters: write less.")
    return "".join(_put_into_piece(markup, match) for match in PIECE.finditer(html))


def sanitize_mail(html: str) -> str:
    """Remove from HTML what mail programs must not run or load: scripts, forms, frames, event handlers."""
    return nh3.clean(
        html,
        tags=MAIL_TAGS,
        clean_content_tags=DROPPED_WITH_CONTENT,
        attributes=MAIL_ATTRIBUTES,
        url_schemes=URL_SCHEMES,
        link_rel="noopener noreferrer",
    )


def sanitize_page(html: str) -> str:
    """Remove from HTML what a strict content security policy refuses, with styles and images."""
    return nh3.clean(
        html,
        tags=CONTENT_TAGS - {"img"},
        attributes=CONTENT_ATTRIBUTES,
        url_schemes=URL_SCHEMES - {"cid"},
        link_rel="noopener noreferrer",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )


def _put_into_piece(markup: RenderedMarkup, match: re.Match[str]) -> str:
    piece = match[0]
    if match["text"]:
        return markup.mark.sub(lambda mark: _write_in_text(markup, mark), piece)
    if match["comment"]:
        return ""
    if match["tag"] and not markup.mark.search(ATTRIBUTE_VALUE.sub("", piece)):
        return markup.mark.sub(lambda mark: _write_in_attribute(markup, mark), piece)
    if markup.mark.search(piece):
        raise BlockTemplateError(
            "a {{ … }} is in a tag, a script or a style of the HTML, where it could become markup: write"
            ' it between tags, or in quotes as an attribute\'s value, such as href="{{ url }}".'
        )
    return piece


def _write_in_text(markup: RenderedMarkup, match: re.Match[str]) -> str:
    value = markup.find(match)
    return value.html if isinstance(value, Fragment) else LINE_BREAK.sub("<br>\n", escape(value))


def _write_in_attribute(markup: RenderedMarkup, match: re.Match[str]) -> str:
    value = markup.find(match)
    if isinstance(value, Fragment):
        raise BlockTemplateError("a table or a picture cannot be in an attribute of the HTML.")
    return escape(value)
