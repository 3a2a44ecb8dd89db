"""The documentation site: what fails its build, and what is in it."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
import yaml

from airflow_provider_pushmetrics.events import EVENT_MODELS
from airflow_provider_pushmetrics.get_provider_info import get_provider_info
from scripts.docs_site.__main__ import build_site, run_sphinx
from scripts.docs_site.links import find_broken_links
from scripts.docs_site.reference.commands import build_commands
from scripts.docs_site.reference.errors import build_errors, collect_messages, list_classes
from scripts.docs_site.reference.events import build_events
from scripts.docs_site.reference.http_api import build_operations
from scripts.docs_site.reference.options import build_options
from scripts.docs_site.reference.python_api import build_python_api
from scripts.docs_site.staging import find_place, list_pages, rewrite_links, write_pages

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages that the site is built from."""
    folder = tmp_path_factory.mktemp("pages").resolve()
    write_pages(folder)
    return folder


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A site of two pages; the second has one anchor."""
    (tmp_path / "other.html").write_text('<h1 id="here">Other</h1>')
    return tmp_path / "index.html"


@pytest.mark.parametrize(
    "link", ["other.html", "other.html#here", "#top", "https://example.com/a#b", "mailto:a@example.com", "."]
)
def test_a_link_that_leads_somewhere_is_no_fault(page: Path, link: str) -> None:
    page.write_text(f'<h1 id="top">Index</h1><a href="{link}">x</a>')
    assert list(find_broken_links(page.parent)) == []


@pytest.mark.parametrize(
    "link",
    ["gone.html", "other.html#gone", "#gone", "../outside.html", "https://", "javascript:x", "http://a b/"],
)
def test_a_link_that_leads_nowhere_is_a_fault(page: Path, link: str) -> None:
    page.write_text(f'<a href="{link}">x</a>')
    (fault,) = find_broken_links(page.parent)
    assert link in fault


@pytest.mark.parametrize(
    ("source", "link", "place"),
    [
        ("README.md", "docs/provider.md#metrics", "provider.md#metrics"),
        ("docs/how-to/balancer.md", "../service.md", "../service.md"),
        ("docs/provider.md", "../README.md#install-it", "overview.md#install-it"),
        (
            "docs/provider.md",
            "../dags/example_pushmetrics_sensor.py",
            "reference/examples.md#example_pushmetrics_sensor",
        ),
        ("docs/provider.md", "#metrics", "#metrics"),
        ("docs/provider.md", "https://example.com/docs/x.md", "https://example.com/docs/x.md"),
    ],
)
def test_a_link_of_the_repository_becomes_one_of_the_site(source: str, link: str, place: str) -> None:
    assert find_place(link, ROOT / source) == place


def test_a_link_to_a_file_that_the_site_does_not_have_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"docs/provider\.md: the site has no page for the link '\.\./setup\.cfg'"
    ):
        find_place("../setup.cfg", DOCS / "provider.md")


def test_links_in_code_stay_as_they_are() -> None:
    text = "[a](../README.md)\n\n```text\n[a](../README.md)\n```\n"
    assert rewrite_links(text, DOCS / "service.md") == text.replace("../README.md", "overview.md", 1)


def test_a_warning_of_sphinx_fails_the_build(tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "index.md").write_text("# Index\n\nNo warning.\n")
    assert run_sphinx(pages, tmp_path / "good") == 0
    (pages / "index.md").write_text("# Index\n\n[gone](gone.md)\n")
    assert run_sphinx(pages, tmp_path / "bad") != 0


def test_the_navigation_has_every_page_once(pages: Path) -> None:
    index = (pages / "index.md").read_text("utf-8")
    trees = re.findall(r"```{toctree}\n:hidden:\n:caption: [^\n]+\n\n(.*?)\n```", index, re.S)
    listed = re.findall(r"^.+ <(.+)>$", "\n".join(trees), re.M)
    written = {path.relative_to(pages).as_posix() for path in pages.rglob("*.md")}
    assert sorted(listed) == sorted(written - {"index.md"})
    assert len(written) > len(list_pages())


HOW_DO_I = {
    "start with nothing": ("start/tutorial.md", "Run it"),
    "find the tokens of pushmetrics.io": ("start/pushmetrics-io.md", "2. The API token"),
    "create the connection by command, JSON or URI": ("how-to/connections.md", "As a URI"),
    "run a report": ("how-to/run-a-report.md", "Run a report from a task"),
    "wait for a run that somebody else starts": ("how-to/wait-for-a-run.md", "Wait for a run"),
    "start a Dag when a report has run": ("how-to/event-driven-dags.md", "An asset"),
    "get the rows of a result, or a file": ("how-to/results.md", "Files"),
    "run a report when a task fails": ("how-to/notifier.md", "Run a report when a task"),
    "retry and clear a task": ("how-to/retries-and-clearing.md", "Retry and clear tasks"),
    "have development and production": ("how-to/environments.md", "Several environments"),
    "use one receiver for several Airflows": ("how-to/several-airflows.md", "Several Airflows"),
    "keep tokens in a secrets backend": ("how-to/secrets.md", "The connection of tasks"),
    "trust a certificate of my own": ("how-to/tls.md", "Client certificates"),
    "get through a proxy": ("how-to/proxies.md", "Behind a proxy"),
    "understand an error message": ("how-to/troubleshooting.md", "The connection"),
    "use it on MWAA, Composer or Astro": ("how-to/managed-airflow.md", "Install the package"),
    "run several of each part": ("how-to/high-availability.md", "High availability"),
    "upgrade, and go back": ("how-to/upgrade.md", "The receiver"),
    "uninstall it": ("how-to/uninstall.md", "Uninstall"),
    "look up an option or a variable": ("reference/options.md", "Other environment variables"),
}
"""Tasks of users: the page, and a heading of it."""


def count_clicks(pages: Path) -> dict[str, int]:
    """Count for each page how many links of texts lead to it from the index, at least."""
    clicks = {"index.md": 0}
    waiting = ["index.md"]
    for name in waiting:  # grows
        body = (pages / name).read_text("utf-8").partition("```{toctree}")[0]
        for link in re.findall(r"\]\(([^)#\s:]+\.md)", body):
            found = (pages / name).parent.joinpath(link).resolve().relative_to(pages).as_posix()
            if found not in clicks:
                clicks[found] = clicks[name] + 1
                waiting.append(found)
    return clicks


def test_each_task_of_a_user_is_found_within_two_clicks_from_the_index(pages: Path) -> None:
    clicks = count_clicks(pages)
    assert {
        task: clicks.get(page, 99) for task, (page, _) in HOW_DO_I.items() if clicks.get(page, 99) > 2
    } == {}
    for page, heading in HOW_DO_I.values():
        assert re.search(rf"^#+ .*{re.escape(heading)}", (pages / page).read_text("utf-8"), re.M), page


def test_every_page_is_found_within_two_clicks_from_the_index(pages: Path) -> None:
    clicks = count_clicks(pages)
    written = {path.relative_to(pages).as_posix() for path in pages.rglob("*.md")}
    assert {page for page in written if clicks.get(page, 99) > 2} == set()


# --- what is generated --------------------------------------------------------------------------------------

NO_SETTINGS = {"PUSHMETRICS_DEMO_FOLDER", "PUSHMETRICS_EXAMPLE_OUTPUT", "PUSHMETRICS_PORT"}
"""Two that the demo sets for its own processes, and one of Kubernetes."""


def test_every_environment_variable_of_the_code_is_on_the_page_of_options() -> None:
    sources = [*(ROOT / "airflow_provider_pushmetrics").rglob("*.py"), *(ROOT / "demo").rglob("*.py")]
    found = {
        node.value
        for path in sources
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"PUSHMETRICS_[A-Z_]*[A-Z]", node.value)
    }
    page = build_options()
    assert len(found) > 5
    assert {name for name in found - NO_SETTINGS if f"`{name}`" not in page} == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("PushMetricsConfigurationError", "connection … has no trigger token for report …: add it to"),
        ("PushMetricsConfigurationError", "The PushMetrics receiver is not configured: in section"),
        ("PushMetricsUntrustedUrlError", "… is not at …, so the API token is not sent there"),
        ("PushMetricsUnknownParameters", "… The report was not run (strict_parameters)"),
    ],
)
def test_the_page_of_errors_has_the_messages_of_each_class(name: str, message: str) -> None:
    section = build_errors().partition(f"### {name} says\n")[2].partition("\n###")[0]
    assert f"- `` {message}" in section


WORDLESS = {
    *("PushMetricsError", "NotificationError"),  # only their subclasses are raised
    *("PushMetricsAuthError", "PushMetricsLastLookError", "InvalidEventError"),  # they say what a server said
    *("PushMetricsMissingExtraError", "PushMetricsTruncatedResultError"),  # functions write their messages
}


def test_the_page_of_errors_has_every_class_that_has_words_of_its_own() -> None:
    assert set(list_classes()) - collect_messages().keys() == WORDLESS


def test_the_page_of_options_has_every_option_of_airflow_cfg_with_its_variable() -> None:
    page = build_options()
    for name in get_provider_info()["config"]["pushmetrics"]["options"]:
        assert f"| `{name}`<br>`AIRFLOW__PUSHMETRICS__{name.upper()}` |" in page


def test_the_reference_has_every_command_option_and_operation_of_the_public_contract() -> None:
    contract = json.loads((ROOT / "tests" / "unit" / "public_contract.json").read_text("utf-8"))
    commands, operations = build_commands(), build_operations()
    for name, options in contract["commands"].items():
        section = commands.partition(f"## `{name}`\n")[2].partition("\n## ")[0]
        for option in options:
            assert all(f"`{word}`" in section for word in option.split()), (name, option)
    for operation in contract["http"]["service"]:
        *methods, path = operation.split()
        assert any(f"### `{method} {path}`\n" in operations for method in methods), operation


def test_the_page_of_events_has_every_event_with_all_its_fields() -> None:
    page = build_events()
    for name, model in EVENT_MODELS.items():
        section = page.partition(f"## `{name}`\n")[2].partition("\n## ")[0]
        assert [field for field in model.model_fields if f"| `{field}` |" not in section] == []


def test_every_building_block_of_the_registry_file_is_in_the_python_reference() -> None:
    registry = yaml.safe_load((ROOT / ".airflow-registry.yaml").read_text("utf-8"))
    named = [row["module"] for rows in registry.values() if isinstance(rows, list) for row in rows]
    page = build_python_api()
    assert [path for path in named if f" {path}\n" not in page] == []


@pytest.mark.slow
def test_the_site_is_built_without_warnings_and_without_broken_links(tmp_path: Path) -> None:
    assert build_site(tmp_path / "pages", tmp_path / "html") == 0
    page = (tmp_path / "html" / "reference" / "python-api.html").read_text("utf-8")
    assert "What to do if PushMetrics does not return the run" in page  # of the operator's docstring
