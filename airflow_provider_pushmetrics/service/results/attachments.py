"""
Query results as attachments of mails.

A mail refers to a result, and the attachment is written when the mail is sent: results never change. The
size is checked before, when the block runs, so that the block fails if it is too large.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import IO, Any

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
from airflow_provider_pushmetrics.service.results.files.base import FoundFile
from airflow_provider_pushmetrics.service.results.store import ResultStore, open_result
from airflow_provider_pushmetrics.service.results.stored_result import ResultError, ResultGoneError

MAX_TOTAL_BYTES = 10 * 1024 * 1024
"""For all attachments of a mail. Base64 adds a third, and common mail servers allow 20 to 25 MB."""

MEDIA_TYPES: Mapping[str, str] = {"csv": CSV, "xlsx": XLSX, "json": JSON, "parquet": PARQUET}
"""The formats of attachments, which are their extensions too."""

ATTACHMENT_READ_BYTES = 64 * 1024


@dataclass(frozen=True)
class Attachment:
    """
    A result to attach to a mail.

    :param name: The name of the attachment.
    :param format: One of ``MEDIA_TYPES``.
    :param file: The file of the result.
    :param header: The header of the result, for JSON.
    """

    name: str
    format: str
    file: str
    header: ResultHeader

    def to_dict(self) -> dict[str, Any]:
        """Convert it to JSON, for the outbox."""
        return asdict(self)

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Attachment:
        """Convert it from JSON."""
        return cls(kept["name"], kept["format"], kept["file"], ResultHeader(**kept["header"]))


def write_attachment(results: ResultStore, attachment: Attachment) -> Iterator[Chunk]:
    """
    Write the attachment, piece by piece.

    CSV has a byte order mark, and texts that look like formulas are guarded, because people open it in
    spreadsheets.

    :raises ResultError: if the result was deleted, or does not fit into a workbook.
    """
    found = results.find(attachment.file)
    if found is None:
        raise _describe_gone(attachment)
    if attachment.format == "parquet":
        with _open_file(attachment, found) as raw:
            yield from iter(lambda: raw.read(ATTACHMENT_READ_BYTES), b"")
        return
    with open_result(attachment.file, found) as result:
        if attachment.format == "xlsx":
            with open_xlsx(results, result) as workbook:
                yield from iter(lambda: workbook.read(ATTACHMENT_READ_BYTES), b"")
        elif attachment.format == "csv":
            yield from write_csv(result, CSV_FOR_PEOPLE)
        else:
            yield from write_json(attachment.header, result)


def _open_file(attachment: Attachment, found: FoundFile) -> IO[bytes]:
    try:
        return found.open()
    except FileNotFoundError:  # it was just deleted
        raise _describe_gone(attachment) from None


def _describe_gone(attachment: Attachment) -> ResultGoneError:
    return ResultGoneError(f"the result for the file {attachment.name!r} is no longer kept.")


def check_size(results: ResultStore, attachments: Sequence[Attachment]) -> None:
    """
    Check the total size of a mail's attachments.

    :raises ResultError: if it is too large, or if a result was deleted.
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
