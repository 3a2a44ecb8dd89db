"""
Results of queries as files of mails.

A mail keeps where a result is, and the file is written when it is sent: results are never changed. How large
it will be is found out before, when the block runs, so that one too large fails where somebody sees it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from airflow_provider_pushmetrics.service.results.encoders.formats import (
    CSV,
    CSV_FOR_PEOPLE,
    JSON,
    PARQUET,
    XLSX,
    Chunk,
    ResultHeader,
    write_csv,
    write_json,
)
from airflow_provider_pushmetrics.service.results.encoders.xlsx import open_xlsx
from airflow_provider_pushmetrics.service.results.store import ResultError, ResultStore

MAX_TOTAL_BYTES = 10 * 1024 * 1024
"""Of all files of a mail. Base64 makes a third more of it, and common mail servers stop at 20 to 25 MB."""

MEDIA_TYPES: Mapping[str, str] = {"csv": CSV, "xlsx": XLSX, "json": JSON, "parquet": PARQUET}
"""The formats that files can have, which are their extensions too."""

ATTACHMENT_READ_BYTES = 64 * 1024


@dataclass(frozen=True)
class Attachment:
    """
    A result that goes with a mail.

    :param name: What the file is called.
    :param format: One of ``MEDIA_TYPES``.
    :param file: Where the result is kept.
    :param header: What the file says before its rows, if it is JSON.
    """

    name: str
    format: str
    file: str
    header: ResultHeader

    def to_dict(self) -> dict[str, Any]:
        """Write it as it is kept with the mail."""
        return asdict(self)

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Attachment:
        """Read it back."""
        return cls(kept["name"], kept["format"], kept["file"], ResultHeader(**kept["header"]))


def write_attachment(results: ResultStore, attachment: Attachment) -> Iterator[Chunk]:
    """
    Write the file, piece by piece.

    CSV has a byte order mark, and what a spreadsheet would take for a formula is guarded: people open it.

    :raises ResultError: if the result is no longer kept, or does not fit into a workbook.
    """
    path = results.find_path(attachment.file)
    if path is None:
        raise ResultError(f"the result for the file {attachment.name!r} is no longer kept.")
    if attachment.format == "parquet":
        with open(path, "rb") as raw:
            yield from iter(lambda: raw.read(ATTACHMENT_READ_BYTES), b"")
        return
    with results.open(attachment.file) as result:
        if attachment.format == "xlsx":
            with open_xlsx(results, result) as workbook:
                yield from iter(lambda: workbook.read(ATTACHMENT_READ_BYTES), b"")
        elif attachment.format == "csv":
            yield from write_csv(result, CSV_FOR_PEOPLE)
        else:
            yield from write_json(attachment.header, result)


def check_size(results: ResultStore, attachments: Sequence[Attachment]) -> None:
    """
    Make sure that the files of a mail are not too large together.

    :raises ResultError: if they are, or if a result is no longer kept.
    """
    total = 0
    for attachment in attachments:
        for piece in write_attachment(results, attachment):
            total += len(piece)
            if total > MAX_TOTAL_BYTES:
                raise ResultError(
                    f"with {attachment.name!r} the files of the mail are larger than"
                    f" {MAX_TOTAL_BYTES // 1024 // 1024} MB: give the query a limit, attach it as parquet, or"
                    " write its link into the mail."
                )
