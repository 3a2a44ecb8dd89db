"""Settings of Sphinx for the documentation site; python -m scripts.docs_site builds it."""

from __future__ import annotations

from typing import Any

from airflow_provider_pushmetrics import __version__

project = "airflow-provider-pushmetrics"
author = "The authors of airflow-provider-pushmetrics"
copyright = "the authors, Apache License 2.0"  # Sphinx reads this name
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 4
smartquotes = False  # "--option" stays as it is
suppress_warnings = ["misc.highlighting_failure"]  # JSON with "…" for a value that the reader knows

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
add_module_names = False

html_theme = "furo"
html_title = f"PushMetrics provider {version}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True


def link_pages(app: Any, what: str, name: str, found: Any, options: Any, lines: list[str]) -> None:
    """Make links of the pages that docstrings name."""
    lines[:] = [line.replace("docs/provider.md", ":doc:`/provider`") for line in lines]


def setup(app: Any) -> None:
    """Connect to Sphinx."""
    app.connect("autodoc-process-docstring", link_pages)
