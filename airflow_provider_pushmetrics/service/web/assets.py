"""The files that browsers load: as they are in the package, and joined to few (``bundling.py``)."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable

from airflow_provider_pushmetrics.service.web.bundling import FOLDER, VENDORED, Bundler

# Independent of this machine's MIME tables: browsers run modules only with the right type.
MEDIA_TYPES = {
    "js": "text/javascript",
    "json": "application/json",
    "css": "text/css",
    "svg": "image/svg+xml",
    "txt": "text/plain",
    "map": "application/json",
}
ENTRY = "app.js"
STYLES = FOLDER + "app.css"


@dataclass(frozen=True)
class Asset:
    """A file that browsers load. It is compressed when it is first sent, and stays in memory."""

    content: bytes
    media_type: str

    @cached_property
    def etag(self) -> str:
        return hashlib.sha256(self.content).hexdigest()[:32]

    @cached_property
    def compressed(self) -> bytes:
        return gzip.compress(self.content, 9, mtime=0)


@dataclass(frozen=True)
class Assets:
    """
    All files, by their names.

    :param version: A hash of all of them, which is a part of their addresses.
    """

    version: str
    files: Mapping[str, Asset]


@cache
def load_assets() -> Assets:
    """Read the files of the package, and join its modules and its style sheets."""
    contents = dict(_walk(files(__package__) / "page" / "assets", ""))
    own = {name: content for name, content in contents.items() if not name.startswith(VENDORED)}
    bundler = Bundler({name: text.decode() for name, text in own.items() if name.endswith(".js")}, ENTRY)
    styles = {STYLES: b"".join(own[name] for name in _order_styles(own))}
    version = _hash(contents | styles | _list_bundles(bundler, version=""))
    contents |= styles | _list_bundles(bundler, version)
    return Assets(
        version, {name: Asset(content, _get_media_type(name)) for name, content in contents.items()}
    )


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        elif entry.name.rpartition(".")[2] in MEDIA_TYPES and not entry.name.endswith(".d.ts"):
            yield prefix + entry.name, entry.read_bytes()


def _order_styles(names: Mapping[str, bytes]) -> list[str]:
    """Those of all pages come first: those of the folders may replace their rules."""
    return sorted((name for name in names if name.endswith(".css")), key=lambda name: ("/" in name, name))


def _list_bundles(bundler: Bundler, version: str) -> dict[str, bytes]:
    bundles = bundler.join(version)
    codes = {name: bundle.code.encode() for name, bundle in bundles.items()}
    return codes | {f"{name}.map": bundle.source_map.encode() for name, bundle in bundles.items()}


def _hash(contents: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, content in sorted(contents.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def _get_media_type(name: str) -> str:
    return MEDIA_TYPES[name.rpartition(".")[2]]
