"""
The archive of a backup: a tar file whose last member, the manifest, has the checksums of all others.

An archive without a manifest is not whole, and is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import mkstemp
from typing import IO

from airflow_provider_pushmetrics import __version__
from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.serving.private_files import name_new_file, sync_folder

MANIFEST = "manifest.json"
FORMAT = 1
CHUNK_BYTES = 1024 * 1024
PARTIAL_SUFFIX = ".partial"


@dataclass(frozen=True)
class Contents:
    """
    What a backup is of.

    :param kind: ``service`` or ``receiver``.
    :param engine: ``sqlite`` or ``postgresql``.
    :param schema: The revision of the database's schema.
    :param created_on: When it was made, in ISO 8601.
    :param last_event_id: Of an inbox on PostgreSQL: the newest id that it had handed out.
    """

    kind: str
    engine: str
    schema: str
    created_on: str
    last_event_id: int | None = None


@dataclass(frozen=True)
class Manifest:
    """
    The last member of an archive.

    :param version: The version of this package that wrote it.
    :param files: The SHA-256 of each other member, by its name.
    """

    contents: Contents
    version: str = __version__
    format: int = FORMAT
    files: Mapping[str, str] = field(default_factory=dict)


class ArchiveWriter:
    """Adds files to an archive."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.files: dict[str, str] = {}

    def add(self, name: str, file: IO[bytes], size: int) -> None:
        """Add a file from an open one, which must have this size."""
        reading = _HashingReader(file)
        self._tar.addfile(_build_member(name, size), reading)
        self.files[name] = reading.digest.hexdigest()

    def add_path(self, name: str, path: Path) -> None:
        """Add a file."""
        with open(path, "rb") as file:
            self.add(name, file, path.stat().st_size)


@contextmanager
def write_archive(path: Path, contents: Contents) -> Iterator[ArchiveWriter]:
    """
    Write an archive, which appears as a whole at the end of the block; only its owner can read it.

    :raises PushMetricsConfigurationError: if there is a file of that name already, or it cannot be written.
    """
    if path.exists():
        raise _describe_existing(path)
    try:
        with _open_partial(path) as (partial, file):
            with tarfile.open(fileobj=file, mode="w") as tar:
                writer = ArchiveWriter(tar)
                yield writer
                manifest = json.dumps(asdict(Manifest(contents, files=writer.files)), indent=1).encode()
                tar.addfile(_build_member(MANIFEST, len(manifest)), io.BytesIO(manifest))
            file.flush()
            os.fsync(file.fileno())
            name_new_file(partial, path)  # replaces nothing, also not what another backup wrote meanwhile
        sync_folder(path.parent)
    except FileExistsError:
        raise _describe_existing(path) from None
    except (OSError, tarfile.TarError) as error:
        raise PushMetricsConfigurationError(
            f"the backup cannot be written to {str(path)!r}: {error}. Choose another place, or free some"
            " space."
        ) from None


def extract_archive(path: Path, folder: Path, kind: str, engine: str) -> Manifest:
    """
    Extract all files of an archive into an empty folder, and compare them with their checksums.

    :param kind: What it must be a backup of.
    :param engine: The database that it must be from.
    :raises PushMetricsConfigurationError: if it is not whole, or not of that kind.
    """
    try:
        with tarfile.open(path, mode="r:") as tar:
            found = {member.name: _extract(tar, member, folder) for member in tar}
        text = (folder / MANIFEST).read_text("utf-8") if MANIFEST in found else ""
    except (OSError, EOFError, tarfile.TarError) as error:
        raise PushMetricsConfigurationError(
            f"the backup {str(path)!r} cannot be read: {error}. Use another one."
        ) from None
    if not text:
        raise PushMetricsConfigurationError(
            f"the backup {str(path)!r} is not whole: it has no manifest. Use another one."
        )
    manifest = _parse_manifest(text, path)
    del found[MANIFEST]
    _check_contents(manifest.contents, kind, engine)
    if found != manifest.files:
        differing = sorted(dict(found.items() ^ manifest.files.items()))
        raise PushMetricsConfigurationError(
            f"the backup {str(path)!r} is damaged: {differing[0]!r} is not the file of its manifest. Use"
            " another one."
        )
    return manifest


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> str:
    place = PurePosixPath(member.name)
    if not member.isfile() or place.is_absolute() or ".." in place.parts:
        raise tarfile.TarError(f"{member.name!r} is not a plain file below it")
    target = folder / place
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    source, digest = tar.extractfile(member), hashlib.sha256()
    assert source is not None  # of a plain file there is one
    with source, _open_private(target) as file:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _parse_manifest(text: str, path: Path) -> Manifest:
    try:
        values = json.loads(text)
        if values["format"] == FORMAT:
            return Manifest(**{**values, "contents": Contents(**values["contents"])})
        reason = f"its format is {values['format']!r}, and this version reads {FORMAT}"
    except (ValueError, TypeError, KeyError):
        reason = "its manifest is not one"
    raise PushMetricsConfigurationError(
        f"the backup {str(path)!r} cannot be used: {reason}. Use the version of the package that wrote it."
    )


def _check_contents(contents: Contents, kind: str, engine: str) -> None:
    if contents.kind != kind:
        raise PushMetricsConfigurationError(
            f"the backup is of a {contents.kind}: use 'pushmetrics {contents.kind} restore'."
        )
    if contents.engine != engine:
        raise PushMetricsConfigurationError(
            f"the backup is from {contents.engine}, and cannot be restored to {engine}: restore it to"
            f" {contents.engine}."
        )


def _build_member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


@contextmanager
def _open_partial(path: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """Open a file beside an archive that no other process writes, and delete it at the end."""
    number, name = mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=PARTIAL_SUFFIX)
    try:
        with open(number, "wb") as file:
            yield Path(name), file
    finally:
        Path(name).unlink(missing_ok=True)


def _describe_existing(path: Path) -> PushMetricsConfigurationError:
    return PushMetricsConfigurationError(
        f"the file {str(path)!r} exists already, and is not replaced: name another one."
    )


def _open_private(path: Path) -> IO[bytes]:
    """Create a file that only its owner can read; it replaces what a crash left."""
    path.unlink(missing_ok=True)
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


class _HashingReader(io.RawIOBase):
    """Reads a file and computes its SHA-256."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        chunk = self._file.read(size)
        self.digest.update(chunk)
        return chunk
