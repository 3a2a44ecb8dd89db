"""HTML as a test compares it: its elements, and nothing of their text."""

from __future__ import annotations

from html.parser import HTMLParser


class _Structure(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, ...]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # A link whose address is refused has none; that is the one difference that a value may make.
        self.found.append((tag, *sorted(name for name, _ in attrs if name not in ("href", "src"))))

    def handle_endtag(self, tag: str) -> None:
        self.found.append((f"/{tag}",))

    def handle_comment(self, data: str) -> None:
        self.found.append(("comment",))

    def handle_decl(self, decl: str) -> None:
        self.found.append(("declaration",))


def find_structure(html: str) -> list[tuple[str, ...]]:
    """List the elements of HTML with the names of their attributes; line breaks of values apart."""
    structure = _Structure()
    structure.feed(html)
    structure.close()
    return [one for one in structure.found if one != ("br",)]


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("href", "src")]


def find_links(html: str) -> list[str]:
    """List the addresses that HTML leads to or loads."""
    links = _Links()
    links.feed(html)
    return links.found


HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</p></td><script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "' onmouseover='alert(1)",
    "](javascript:alert(1)) [x](javascript:alert(2)",
    "javascript:alert(1)",
    "**bold** _em_ `code` ~~gone~~",
    "# heading\n\n- item\n- item\n\n> quote\n\n---\n",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "```\nfence\n```",
    "    indented code",
    "<!-- comment -->",
    "--> <b>x</b> <!--",
    "&lt;b&gt; &amp; &#60;b&#62;",
    "{{ 7 * 7 }} {% raw %}",
    "<!channel> <@U123> <https://evil.example|click>",
    "a\x00b\u2028d\u202ee",
    "x0n0x x1n1x",
    "\\*not\\* \\",
    "![x](http://evil.example/x.png)",
    "http://evil.example www.evil.example a@evil.example",
    "a\r\nBcc: evil@example.com\r\n\r\n<b>body</b>",
    "=?utf-8?q?x=0D=0ABcc:=20evil@example.com=0D=0A=0D=0Aphish?=",
)
"""Values that want to be markup of some kind."""
