"""Results and folders that another process deletes while they are read or written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_pushmetrics.service.app import build_app
from airflow_provider_pushmetrics.service.results.attachments import Attachment, write_attachment
from airflow_provider_pushmetrics.service.results.encoders.formats import FORMATS, ResultHeader
from airflow_provider_pushmetrics.service.results.files.base import FoundFile
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.results.stored_result import ResultGoneError
from airflow_provider_pushmetrics.service.runtime import ServiceParts
from tests.fakes.service_reports import sql
from tests.integration.service.conftest import Api, open_client, run_parts


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[ServiceParts]:
    with run_parts(tmp_path / "data") as parts:
        yield parts


class VanishingStore(ResultStore):
    """Another process deletes each result as soon as it was found."""

    def find(self, name: str) -> FoundFile | None:
        found = super().find(name)
        self.delete([name])
        return found


async def test_result_that_is_deleted_as_it_is_found_is_not_found(parts: ServiceParts) -> None:
    vanishing = replace(parts, results=VanishingStore(parts.settings.results_dir))
    async with open_client(build_app(parts)) as client, open_client(build_app(vanishing)) as reader:
        api = Api(client, parts)
        made = api.make_report(q=sql("SELECT 1 AS n"))
        for media_type in FORMATS:
            url = (await api.run(made.id))["queries"][0]["query_result"]
            answer = await reader.get(url, headers={"Accept": media_type})
            assert (answer.status_code, answer.json()) == (404, {"message": "The result is no longer kept"})


@pytest.mark.parametrize("extension", ["csv", "parquet"])
def test_attachment_that_is_deleted_as_it_is_found_is_no_longer_kept(tmp_path: Path, extension: str) -> None:
    store = VanishingStore(tmp_path)
    store.write_bytes("run-1/a.parquet", b"rows")
    header = ResultHeader(1, "q", 1, "success")
    attachment = Attachment("numbers", extension, "run-1/a.parquet", header)
    with pytest.raises(ResultGoneError, match="no longer kept"):
        list(write_attachment(store, attachment))


def test_result_is_stored_also_if_its_empty_folder_is_deleted_at_that_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, due = os.rename, [True]

    def rename_late(source: Any, target: Any) -> None:
        if due and "run-1" in str(target):
            due.pop()
            Path(target).parent.rmdir()
        rename(source, target)

    monkeypatch.setattr(os, "rename", rename_late)
    store = ResultStore(tmp_path)
    store.write_bytes("run-1/a.parquet", b"rows")
    assert store.read_bytes("run-1/a.parquet") == b"rows"
    assert due == []
