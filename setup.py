"""What setup.cfg cannot say: links to files of the repository would lead nowhere on a package page."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import setup


def write_description(readme: str) -> str:
    """Write the README for a package page: a link to a file becomes its name, and pictures go."""

    def replace(link: re.Match[str]) -> str:
        text, target = link.groups()
        return text if text == target else f"{text} (`{target}`)"

    readme = re.sub(r"^!\[[^\]]*\]\([^)]*\)\n\n?", "", readme, flags=re.M)
    return re.sub(r"\[([^\]]+)\]\((?!https://|#)([^)#]+)(?:#[^)]*)?\)", replace, readme)


if __name__ == "__main__":
    setup(
        long_description=write_description(Path(__file__).with_name("README.md").read_text("utf-8")),
        long_description_content_type="text/markdown",
    )
