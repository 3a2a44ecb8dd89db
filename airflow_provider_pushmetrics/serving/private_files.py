"""Folders and files that only their owner can read, whatever the umask."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkstemp
from typing import IO, Any

FOLDER_MODE = 0o700
FILE_MODE = 0o600
PRIVATE_UMASK = 0o077

NO_HARD_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
"""The errors of ``link`` where there are none."""

AT_CURRENT_FOLDER, RENAME_NOREPLACE = -100, 1
"""``AT_FDCWD`` and a flag of ``renameat2``."""


def set_private_umask() -> None:
    """
    Make all files of this process and its children private, also those that libraries write.

    Only for a process of our own: the umask of Airflow's processes stays.
    """
    os.umask(PRIVATE_UMASK)


def make_private_folder(path: Path) -> None:
    """
    Make a folder, and the folders that it is in; those that exist stay as they are.

    :raises OSError: if it cannot be made, or is a file.
    """
    try:
        path.mkdir(FOLDER_MODE, exist_ok=True)
    except FileNotFoundError:  # most exist, and are not looked at again
        if path.parent == path:
            raise
        make_private_folder(path.parent)
        path.mkdir(FOLDER_MODE, exist_ok=True)


def open_private(path: Path | str, mode: str, **options: Any) -> IO[Any]:
    """Open a file as ``open`` does. A new one is private; an existing one stays as it is."""
    return open(path, mode, opener=lambda name, flags: os.open(name, flags, FILE_MODE), **options)


def create_private_file(path: Path | str) -> None:
    """
    Create an empty file, unless it exists, for a library that would create it with the umask.

    An existing file is not opened. Closing it would release the locks that SQLite has on it in this process:
    https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))


def write_private_file(path: Path, text: str) -> None:
    """Write a file atomically, in place of one that is there."""
    with _write_partial(path, text) as partial:
        partial.rename(path)
    sync_folder(path.parent)


def write_private_file_once(path: Path, text: str) -> None:
    """Write a file atomically, unless it is there: of several processes that write it at once, one does."""
    with _write_partial(path, text) as partial, suppress(FileExistsError):
        name_new_file(partial, path)
    sync_folder(path.parent)


def name_new_file(file: Path, path: Path) -> None:
    """
    Give a complete file another name in its file system, at once, and replace nothing.

    Its old name may stay. Where there are no hard links, such as on FAT, SMB and some mounts of containers,
    it is renamed; that needs ``renameat2`` of Linux: https://man7.org/linux/man-pages/man2/rename.2.html

    :raises FileExistsError: if there is a file of this name.
    :raises OSError: if the file system can do neither.
    """
    try:
        os.link(file, path)
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
        rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
        if rename is None:
            raise
        names = (AT_CURRENT_FOLDER, os.fsencode(file), AT_CURRENT_FOLDER, os.fsencode(path))
        if rename(*names, RENAME_NOREPLACE) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path)) from error


@contextmanager
def _write_partial(path: Path, text: str) -> Iterator[Path]:
    """Write a file beside a path, with a name of its own, and delete it afterwards if it is still there."""
    descriptor, name = mkstemp(".partial", f"{path.name}.", path.parent)  # only its owner can read it
    try:
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def sync_folder(path: Path) -> None:
    """Make the names of a folder's files durable: a power loss could undo a rename."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
