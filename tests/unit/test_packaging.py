"""The files around the code: metadata, pinned versions, the command line's names."""

from __future__ import annotations

import configparser
import re
from importlib import metadata
from pathlib import Path
from runpy import run_path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from airflow_provider_pushmetrics import __version__
from airflow_provider_pushmetrics.get_provider_info import get_provider_info

ROOT = Path(__file__).resolve().parents[2]
NAME = "airflow-provider-pushmetrics"
PIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][A-Za-z0-9.+!]*( ; .+)?")
CONSTRAINTS = sorted(
    (ROOT / "constraints").glob("airflow-*.txt"),
    key=lambda path: [int(part) for part in path.stem.removeprefix("airflow-").split(".")],
)


def read_setup() -> configparser.ConfigParser:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    return setup


# --- the distribution ---------------------------------------------------------------------------------------


def test_the_metadata_names_the_distribution_itself() -> None:
    assert get_provider_info()["package-name"] == NAME == read_setup()["metadata"]["name"]


def test_airflow_finds_the_provider_and_the_plugin_by_their_entry_points() -> None:
    points = {(point.group, point.name): point.value for point in metadata.distribution(NAME).entry_points}
    package = "airflow_provider_pushmetrics"
    assert points == {
        ("apache_airflow_provider", "provider_info"): f"{package}.get_provider_info:get_provider_info",
        ("airflow.plugins", "pushmetrics"): f"{package}.plugins.pushmetrics:PushMetricsPlugin",
        ("console_scripts", "pushmetrics"): f"{package}.cli:main",
    }


def test_every_entry_point_leads_somewhere() -> None:
    for point in metadata.distribution(NAME).entry_points:
        assert callable(point.load())


def test_airflow_can_show_where_the_documentation_is() -> None:
    urls = metadata.metadata(NAME).get_all("Project-URL") or []
    assert any(url.startswith("Documentation, https://") for url in urls)


def test_the_version_is_said_once() -> None:
    assert read_setup()["metadata"]["version"] == "attr: airflow_provider_pushmetrics.__version__"
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_the_changelog_has_the_version() -> None:
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_dependencies_have_lower_bounds_only() -> None:
    setup = read_setup()
    extras = [
        setup["options.extras_require"][name] for name in ("receiver", "service", "demo", "matrix", "test")
    ]
    lines = "\n".join([setup["options"]["install_requires"], *extras]).split()
    assert [line for line in lines if not re.fullmatch(rf"({NAME}\[.*\]|[\w.\[\]-]+>=[\d.]+)", line)] == []


def test_the_extras_are_those_of_the_design() -> None:
    extras = set(read_setup()["options.extras_require"])
    optional = {"arrow", "celery", "pandas", "polars", "common-messaging", "openlineage", "otel"}
    stores = {"s3", "gcs", "azure"}
    databases = {"mysql", "mssql", "oracle", "snowflake", "bigquery", "flightsql"}
    assert extras - optional - stores - databases == {
        "receiver",
        "service",
        "demo",
        "matrix",
        "test",
        "docs",
        "dev",
    }


def test_only_the_package_is_in_the_wheel() -> None:
    """The demo, the tests and the benchmarks work from a checkout only."""
    assert read_setup()["options.packages.find"]["include"] == "airflow_provider_pushmetrics*"


def test_on_a_package_page_no_link_leads_to_a_file() -> None:
    """setup.py writes it; scripts/check_distribution.py looks at the description that was built."""
    page = run_path(str(ROOT / "setup.py"), run_name="setup")["write_description"]
    text = "[a](docs/a.md), [b.md](b.md#part), [c](https://example.com/c) and [d](#d)"
    assert page(text) == "a (`docs/a.md`), b.md, [c](https://example.com/c) and [d](#d)"


# --- the forge ----------------------------------------------------------------------------------------------


def test_every_step_of_the_check_is_a_hook_before_a_commit() -> None:
    """Other steps take minutes: the site, the tests, the advisories and the package."""
    check = (ROOT / "scripts" / "check").read_text("utf-8")
    steps = set(re.findall(r'^ *step "(.+)"$', check, re.M))
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    hooks = {hook["name"] for repo in config["repos"] for hook in repo["hooks"]}
    slow = {"Tests, with branch coverage", "Advisories about dependencies", "Package"}
    assert steps - slow == hooks


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.stem
)
def test_a_workflow_has_no_rights_that_a_job_does_not_name(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text("utf-8"))
    assert workflow["permissions"] == {}
    written = {
        name: sorted(right for right, kind in job["permissions"].items() if kind == "write")
        for name, job in workflow["jobs"].items()
    }
    assert {name: rights for name, rights in written.items() if rights} == (
        {"attest": ["attestations", "id-token"], "publish": ["id-token"]} if path.stem == "release" else {}
    )


BY_TAG = {"pypa/gh-action-pypi-publish@v1.14.0"}
"""Actions whose commit could not be looked up."""


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.stem
)
def test_a_workflow_names_the_exact_version_of_each_action_and_runs_what_exists(path: Path) -> None:
    steps = [
        step for job in yaml.safe_load(path.read_text("utf-8"))["jobs"].values() for step in job["steps"]
    ]
    actions = re.findall(r"^ +- uses: (.+)$", path.read_text("utf-8"), re.M)
    assert len(actions) == len([step for step in steps if "uses" in step])
    pinned = r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+"
    assert [name for name in actions if not re.fullmatch(pinned, name) and name not in BY_TAG] == []
    named = re.findall(r"(?:scripts|\.ci)/\w+", " ".join(step.get("run", "") for step in steps))
    assert [name for name in named if not (ROOT / name).is_file()] == []
    assert named


# --- the pinned versions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", CONSTRAINTS, ids=lambda path: path.name)
def test_constraints_are_exact_versions_and_nothing_else(path: Path) -> None:
    lines = [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    assert len(lines) > 50
    assert [line for line in lines if not PIN.fullmatch(line)] == []
    assert "://" not in path.read_text("utf-8")


@pytest.mark.parametrize("path", CONSTRAINTS, ids=lambda path: path.name)
def test_constraints_hold_the_airflow_that_they_are_named_after(path: Path) -> None:
    series = path.stem.removeprefix("airflow-")
    assert re.search(rf"^apache-airflow=={re.escape(series)}\.\d+(b\d+)?$", path.read_text("utf-8"), re.M)


def read_pins(path: Path) -> dict[str, set[str]]:
    """Read the pinned versions; a package has several where Pythons differ."""
    pins: dict[str, set[str]] = {}
    for line in path.read_text("utf-8").splitlines():
        name, _, rest = line.partition("==")
        if rest:
            pins.setdefault(name, set()).add(rest.partition(" ; ")[0])
    return pins


def list_requirements(*extras: str) -> list[Requirement]:
    setup = read_setup()
    lists = [
        setup["options"]["install_requires"],
        *(setup["options.extras_require"][name] for name in extras),
    ]
    requirements = (Requirement(line) for text in lists for line in text.strip().splitlines())
    return [requirement for requirement in requirements if requirement.name != NAME]


@pytest.mark.parametrize("path", CONSTRAINTS, ids=lambda path: path.name)
def test_constraints_satisfy_the_lower_bounds_of_the_metadata(path: Path) -> None:
    extras = list(read_setup()["options.extras_require"]) if path == CONSTRAINTS[-1] else ["matrix"]
    pins = read_pins(path)
    for requirement in list_requirements(*extras):
        found = pins[canonicalize_name(requirement.name)]
        assert all(requirement.specifier.contains(version) for version in found), f"{requirement}: {found}"


def test_there_are_constraints_for_every_airflow_from_the_oldest_to_the_newest() -> None:
    assert [path.stem.removeprefix("airflow-") for path in CONSTRAINTS] == [
        "2.11",
        "3.0",
        "3.1",
        "3.2",
        "3.3",
        "3.4",
    ]


# --- the commands -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        ".ci/run",
        "scripts/check",
        "scripts/check_commit",
        "scripts/check_package",
        "scripts/check_release",
        "scripts/check_workflows",
        "scripts/make_venv",
        "scripts/matrix",
        "scripts/write_upgrade_data",
    ],
)
def test_scripts_stop_at_the_first_failure(name: str) -> None:
    path = ROOT / name
    assert path.stat().st_mode & 0o111
    assert "\nset -euo pipefail\n" in path.read_text("utf-8")


@pytest.mark.parametrize("target", ["demo", "stop", "test", "check", "docs", "matrix", "bench", "clean"])
def test_make_knows_the_targets(target: str) -> None:
    assert re.search(rf"^{target}:.*## ", (ROOT / "Makefile").read_text("utf-8"), re.M)
