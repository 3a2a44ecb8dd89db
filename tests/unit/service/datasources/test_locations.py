"""Which files and folders can be queried, and that the service's own never can."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_pushmetrics.service.datasources.base import SourceError
from airflow_provider_pushmetrics.service.datasources.locations import SourcePlaces


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "sources").mkdir(parents=True)
    (folder / "secret-key").write_text("s3cret")
    return folder


@pytest.mark.parametrize(("location", "found"), [("a.duckdb", "a.duckdb"), (".", ""), ("x/../b", "b")])
def test_relative_location_is_in_the_folder_for_sources(data_dir: Path, location: str, found: str) -> None:
    assert SourcePlaces(data_dir).resolve(location) == (data_dir / "sources" / found).resolve()


@pytest.mark.parametrize("location", ["..", "../secret-key", "../results", "../..", "/", "../sources/../x"])
@pytest.mark.parametrize("extra", [(), (Path("/"),)])
def test_the_services_own_data_is_refused_whatever_folders_are_open(
    data_dir: Path, location: str, extra: tuple[Path, ...]
) -> None:
    with pytest.raises(SourceError, match=r"service's own data.*--source-dir"):
        SourcePlaces(data_dir, extra).resolve(location)


def test_file_elsewhere_is_refused_until_its_folder_is_open(data_dir: Path, tmp_path: Path) -> None:
    shop = tmp_path / "shops" / "one.sqlite"
    with pytest.raises(SourceError, match=r"outside of the folders.*--source-dir"):
        SourcePlaces(data_dir).resolve(str(shop))
    assert SourcePlaces(data_dir, (tmp_path / "shops",)).resolve(str(shop)) == shop.resolve()
    assert SourcePlaces(data_dir, (tmp_path,)).resolve(str(shop)) == shop.resolve()


def test_links_are_followed_before_it_is_decided(data_dir: Path, tmp_path: Path) -> None:
    (data_dir / "sources" / "key").symlink_to(data_dir / "secret-key")
    (data_dir / "sources" / "disk").symlink_to("/")
    for location in ("key", "disk", "disk/etc/passwd"):
        with pytest.raises(SourceError):
            SourcePlaces(data_dir).resolve(location)


@pytest.mark.parametrize("target", [".", "results", "/"])
def test_folder_for_sources_that_is_a_link_opens_nothing_of_the_service(data_dir: Path, target: str) -> None:
    (data_dir / "sources").rmdir()
    (data_dir / "sources").symlink_to(data_dir / target)
    for location in (".", str(data_dir / "secret-key")):
        with pytest.raises(SourceError):
            SourcePlaces(data_dir).resolve(location)


def test_what_is_no_path_is_refused(data_dir: Path) -> None:
    with pytest.raises(SourceError, match="is not a path"):
        SourcePlaces(data_dir).resolve("a\x00b")


@pytest.mark.parametrize(
    ("location", "found"),
    [
        ("s3://b/open", ("s3://b/open", "")),
        ("s3://b/open/", ("s3://b/open", "")),
        ("s3://b/open/year=2026/a b", ("s3://b/open", "year=2026/a b")),
        ("gs://all/x", ("gs://all", "x")),
    ],
)
def test_folder_of_object_storage_is_in_one_that_is_open(
    data_dir: Path, location: str, found: tuple[str, str]
) -> None:
    places = SourcePlaces(data_dir, source_urls=("s3://b/open", "gs://all"))
    assert places.split(location) == found


@pytest.mark.parametrize(
    "location", ["s3://b", "s3://b/opened", "s3://b/ope", "s3://b/open/../x", "s3://open", "gs://b/open"]
)
def test_folder_of_object_storage_elsewhere_is_refused(data_dir: Path, location: str) -> None:
    with pytest.raises(SourceError, match="--source-url"):
        SourcePlaces(data_dir, source_urls=("s3://b/open",)).split(location)
