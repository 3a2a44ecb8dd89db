"""
Check what is in a wheel and in a source distribution: scripts/check_distribution.py WHEEL SDIST.

Exactly the package's files are in the wheel, no link of the package page leads nowhere, and the provider
alone stays small.
"""

from __future__ import annotations

import email
import re
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "airflow_provider_pushmetrics"
NOT_SHIPPED = (".mako", ".d.ts")
"""Files of the package that only its developers use."""

NOT_PROVIDER = {"commands", "receiver", "service", "serving", "signatures.py", "testing"}
"""What of the package Airflow's processes do not load unless they are asked to."""

MAX_PROVIDER_BYTES = 250_000
SOURCE_FOLDERS = {"constraints", "docs", PACKAGE, f"{PACKAGE}.egg-info"}


def main(wheel: Path, sdist: Path) -> None:
    """
    Check both, and print the sizes of the wheel's folders.

    :raises SystemExit: for what is wrong.
    """
    with zipfile.ZipFile(wheel) as archive:
        entries = archive.infolist()
        metadata = archive.read(next(e.filename for e in entries if e.filename.endswith("/METADATA")))
    with tarfile.open(sdist) as archive:
        sources = [Path(*Path(entry.name).parts[1:]) for entry in archive.getmembers() if entry.isfile()]
    sizes = measure(entries)
    for folder, size in sizes.most_common():
        sys.stdout.write(f"{size:>9,} bytes  {folder}\n")
    provider = sum(size for folder, size in sizes.items() if folder not in NOT_PROVIDER | {"dist-info"})
    sys.stdout.write(f"{provider:>9,} bytes, the provider alone; {wheel.stat().st_size:,} bytes, the wheel\n")
    faults = [
        *compare_files({entry.filename for entry in entries if ".dist-info/" not in entry.filename}),
        *find_dead_links(metadata),
        *(f"{path} is in the source distribution" for path in sources if not belongs_to_sources(path)),
    ]
    if provider > MAX_PROVIDER_BYTES:
        faults.append(f"the provider alone has more than {MAX_PROVIDER_BYTES:,} bytes")
    if faults:
        sys.exit("\n".join(faults))


def measure(entries: list[zipfile.ZipInfo]) -> Counter[str]:
    """Add up the compressed bytes of each folder."""
    sizes: Counter[str] = Counter()
    for entry in entries:
        top, *rest = Path(entry.filename).parts
        folder = rest[0] if len(rest) > 1 or rest[0] in NOT_PROVIDER else "modules of the package"
        sizes[folder if top == PACKAGE else "dist-info"] += entry.compress_size
    return sizes


def compare_files(found: set[str]) -> list[str]:
    """Compare the files of a wheel with those of the repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", PACKAGE]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    wanted = {name for name in listed.split("\0") if name and (ROOT / name).is_file()}
    wanted = {name for name in wanted if not name.endswith(NOT_SHIPPED)}
    return [
        *(f"{name} is in the wheel" for name in sorted(found - wanted)),
        *(f"{name} is not in the wheel" for name in sorted(wanted - found)),
    ]


def find_dead_links(metadata: bytes) -> list[str]:
    """Find links of the package page that name a file."""
    page = email.message_from_bytes(metadata)
    text = str(page.get_payload(decode=True), "utf-8")
    if len(text) < 1000:
        return ["the package page has no description"]
    targets = re.findall(r"\]\(([^)]+)\)", text)
    return [f"the package page links to {target}" for target in targets if not target.startswith("https://")]


def belongs_to_sources(path: Path) -> bool:
    """Return whether a file belongs to the sources: the package, its pages and its constraints."""
    return len(path.parts) == 1 or path.parts[0] in SOURCE_FOLDERS


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
