"""The files around the code: metadata, pinned versions, the command line's names, Docker Compose."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

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
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(:[?-])?[^}]*\}")


def read_setup() -> configparser.ConfigParser:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    return setup


def read_compose() -> dict[str, Any]:
    compose: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text("utf-8"))
    return compose


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
    optional = {"arrow", "pandas", "polars", "common-messaging", "openlineage"}
    databases = {"mysql", "mssql", "oracle", "snowflake", "bigquery", "flightsql"}
    assert extras - optional - databases == {"receiver", "service", "demo", "matrix", "test", "dev"}


def test_only_the_package_is_in_the_wheel() -> None:
    """The demo, the tests and the benchmarks work from a checkout only."""
    assert read_setup()["options.packages.find"]["include"] == "airflow_provider_pushmetrics*"


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


# --- Docker Compose -----------------------------------------------------------------------------------------


def test_the_compose_file_is_valid() -> None:
    check = Path(sys.executable).with_name("check-jsonschema")
    command = [str(check), "--builtin-schema", "vendor.compose-spec", "docker-compose.yaml"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_compose_file_has_the_parts_of_the_demo() -> None:
    assert set(read_compose()["services"]) >= {
        "postgres",
        "service",
        "receiver",
        "airflow-init",
        "airflow-api-server",
        "airflow-scheduler",
        "airflow-dag-processor",
        "airflow-triggerer",
    }


def test_no_secret_has_a_default_in_the_compose_file() -> None:
    text = (ROOT / "docker-compose.yaml").read_text("utf-8")
    secrets = [found for found in VARIABLE.finditer(text) if not found[1].endswith("_PORT")]
    assert secrets
    assert [found[0] for found in secrets if found[2] != ":?"] == []


def test_every_variable_of_the_compose_file_is_explained_and_left_empty() -> None:
    text = (ROOT / "docker-compose.yaml").read_text("utf-8")
    example = dict(
        line.split("=", 1)
        for line in (ROOT / ".env.example").read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    )
    assert {found[1] for found in VARIABLE.finditer(text)} == set(example)
    assert {name for name, value in example.items() if value} == {"AIRFLOW_PORT", "PUSHMETRICS_PORT"}


def test_ports_are_open_to_this_machine_only() -> None:
    ports = [port for service in read_compose()["services"].values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_lasting_service_has_a_health_check() -> None:
    services = read_compose()["services"]
    lasting = {name: service for name, service in services.items() if service.get("restart") != "no"}
    assert [name for name, service in lasting.items() if "healthcheck" not in service] == []


def test_every_service_waits_for_services_that_exist() -> None:
    services = read_compose()["services"]
    needed = {name for service in services.values() for name in service.get("depends_on", ())}
    assert needed <= set(services)


def test_files_that_the_compose_file_mounts_and_the_image_copies_exist() -> None:
    mounted = [
        volume.split(":")[0]
        for service in read_compose()["services"].values()
        for volume in service.get("volumes", ())
        if volume.startswith("./")
    ]
    copied = [
        word
        for line in (ROOT / "docker" / "Dockerfile").read_text("utf-8").splitlines()
        if line.startswith("COPY ")
        for word in line.split()[1:-1]
    ]
    assert mounted
    assert copied
    assert [name for name in mounted + copied if not (ROOT / name).exists()] == []


# --- the commands -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [".ci/run", "scripts/check", "scripts/check_package", "scripts/make_venv", "scripts/matrix"]
)
def test_scripts_stop_at_the_first_failure(name: str) -> None:
    path = ROOT / name
    assert path.stat().st_mode & 0o111
    assert "\nset -euo pipefail\n" in path.read_text("utf-8")


@pytest.mark.parametrize("target", ["demo", "stop", "test", "check", "matrix", "bench", "clean"])
def test_make_knows_the_targets(target: str) -> None:
    assert re.search(rf"^{target}:.*## ", (ROOT / "Makefile").read_text("utf-8"), re.M)
