"""
Build the wheel and the source distribution: scripts/build_package.py FOLDER.

Two builds of one commit are equal, byte by byte: the times in the archives are that of the commit, and the
order, owners and permissions of their files do not depend on the machine. They are built from a copy of the
repository's files, since building leaves files beside the sources.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main(target: Path, epoch: int) -> None:
    """Build both into a folder."""
    os.umask(0o022)  # the archives contain the permissions of the files
    with tempfile.TemporaryDirectory() as folder:
        source, dist = Path(folder) / "source", Path(folder) / "dist"
        copy_files(source)
        command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(dist), str(source)]
        environment = os.environ | {"SOURCE_DATE_EPOCH": str(epoch)}
        built = subprocess.run(command, env=environment, capture_output=True, text=True)
        if built.returncode:
            sys.exit(built.stdout + built.stderr)
        target.mkdir(parents=True, exist_ok=True)
        for path in sorted(dist.iterdir()):
            if path.suffix == ".gz":
                write_reproducibly(path, target / path.name, epoch)
            else:
                shutil.copy(path, target)
            sys.stdout.write(f"built {path.name}\n")


def copy_files(target: Path) -> None:
    """Copy the repository's files, those that are new and not ignored too."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():  # not one that was deleted and is not committed
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
            is_executable = os.access(ROOT / name, os.X_OK)
            (target / name).chmod(0o755 if is_executable else 0o644)  # whatever the checkout's umask was


def write_reproducibly(source: Path, target: Path, epoch: int) -> None:
    """Write an archive anew without what differs between two builds, which setuptools leaves in it."""
    with (
        tarfile.open(source) as read,
        target.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=epoch) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as written,
    ):
        for entry in sorted(read.getmembers(), key=lambda entry: entry.name):
            entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = epoch, 0, 0, "", ""
            entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
            entry.pax_headers = {}
            written.addfile(entry, read.extractfile(entry) if entry.isfile() else None)


def read_commit_time() -> int:
    """Read the time of the commit that is checked out."""
    command = ["git", "log", "-1", "--format=%ct"]
    return int(subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout)


if __name__ == "__main__":
    named = os.environ.get("SOURCE_DATE_EPOCH")
    main(Path(sys.argv[1]), int(named) if named else read_commit_time())
