"""
Joins the modules of the web interface into few files, since each would be a request.

A module becomes a function that returns its exports. Nothing is renamed or moved: each line of a joined file
is one line of a module, and the source map says which. A target of ``import()`` has a file of its own, with
what only that target imports. What the same few targets import has one too, if it is large; everything else
is in the file of the entry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from posixpath import dirname, join, normpath

FOLDER = "bundles/"
VENDORED = "vendored/"
OWN_FILE_BYTES = 10_000
"""A request costs more than smaller files."""
SHARED = "$shared/"
"""Begins the names of files with what several targets import: no folder has this name."""

# The sources are formatted by Biome, so that each of these begins a line.
_COMMENT = re.compile(r"^[ \t]*(?:/\*(?:(?!\*/).)*\*/|//[^\n]*)[ \t]*$", re.M | re.S)
_IMPORT = re.compile(r'^import(?: (?P<names>\{[^}]*\}|\* as [\w$]+) from)? "(?P<path>\.[^"]+)";', re.M)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*?|class|const) (?P<name>[\w$]+))", re.M)
_LAZY_IMPORT = re.compile(r'\bimport\("(?P<path>\.[^"]+)"\)')
_LEFT_OVER = re.compile(r"^(?:import\b(?!\().*|export\b.*|(?!.*\basync\b)(?:\w.*)?\bawait\b.*)", re.M)
"""What has another meaning in a function: imports and exports of other kinds, and what a module waits for."""


@dataclass(frozen=True)
class Module:
    """A module, named by its path in the folder of all."""

    name: str
    source: str

    @cached_property
    def code(self) -> str:
        """The source without the lines of comments, which stay as empty lines."""
        return _COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), self.source)

    @cached_property
    def imports(self) -> list[str]:
        return [self.find(found["path"]) for found in _IMPORT.finditer(self.code)]

    @cached_property
    def lazy_imports(self) -> list[str]:
        return [self.find(found["path"]) for found in _LAZY_IMPORT.finditer(self.code)]

    @cached_property
    def exports(self) -> list[str]:
        return [found["name"] for found in _EXPORT.finditer(self.code)]

    def find(self, path: str) -> str:
        """Resolve a path that the module imports."""
        return normpath(join(dirname(self.name), path))

    def wrap(self) -> str:
        """
        Write the module as a function that returns its exports: one line more before it, and one behind it.

        :raises ValueError: For an import or export of a kind that it does not know, or a module that waits.
        """
        code = _IMPORT.sub(lambda found: self._bind(found["names"], found["path"]), self.code)
        code = _EXPORT.sub("", code)
        if left := _LEFT_OVER.search(code):
            raise ValueError(f"{self.name}: {left[0]!r} cannot be joined")
        code = _LAZY_IMPORT.sub(lambda found: f'import("{_locate(self.find(found["path"]))}")', code)
        foot = f"return {{ {', '.join(self.exports)} }};\n}})();\n"
        return f"$modules[{json.dumps(self.name)}] = (() => {{\n{code.rstrip()}\n{foot}"

    def _bind(self, names: str | None, path: str) -> str:
        if names is None:
            return ""
        bound = names.replace(" as ", ": ") if names.startswith("{") else names.removeprefix("* as ")
        return f"const {bound} = $modules[{json.dumps(self.find(path))}];"


@dataclass(frozen=True)
class Bundle:
    """A joined file and its source map."""

    code: str
    source_map: str


class Bundler:
    """
    The joined files of an entry and of the modules that are loaded later.

    :raises ValueError: if two of these files would have one name.
    """

    def __init__(self, sources: Mapping[str, str], entry: str) -> None:
        self._modules = {name: Module(name, source) for name, source in sources.items()}
        self._entry = entry
        reached = self._reach([entry])
        self._lazy = self._find_lazy(reached)
        users: dict[str, set[str]] = {}
        for target in self._lazy:
            for name in self._reach([target]) - reached:
                users.setdefault(name, set()).add(target)
        self._files: dict[str, set[str]] = {entry: reached} | {target: set() for target in self._lazy}
        for name, module_names in self._group(users):
            self._files.setdefault(name, set()).update(module_names)
        first = self._reach(self._files[entry])
        self._files = {entry: first} | {
            name: names - first for name, names in self._files.items() if name in self._lazy or names - first
        }
        self._check_names()

    def _group(self, users: Mapping[str, set[str]]) -> Iterator[tuple[str, set[str]]]:
        """Give the files of the modules that are loaded later; ``users`` has the targets that load each."""
        groups: dict[frozenset[str], set[str]] = {}
        for name, targets in users.items():
            groups.setdefault(frozenset(targets), set()).add(name)
        for group, names in groups.items():
            is_large = sum(len(self._modules[name].code.encode()) for name in names) >= OWN_FILE_BYTES
            if len(group) == 1:
                yield min(group), names
            elif is_large and len(group) < len(self._lazy) / 2:
                yield SHARED + min(names), names
            else:
                yield self._entry, names

    def join(self, version: str) -> dict[str, Bundle]:
        """
        Join them. Files of two versions refuse to work together.

        :param version: Identifies the sources.
        """
        mark = json.dumps(version)
        head = f"export const $modules = {{}}, $version = {mark};"
        bundles = {self._entry: self._join(head, self._entry, "")}
        check = f'if ($version !== {mark}) throw new Error("The web interface was updated: reload the page");'
        first = f'import {{ $modules, $version }} from "./{_flatten(self._entry)}";'
        for name in list(self._files)[1:]:
            needed = "".join(f'import "./{_flatten(other)}";' for other in self._find_needed(name))
            foot = ""
            if name in self._lazy:
                exports = ", ".join(self._modules[name].exports)
                foot = f"export const {{ {exports} }} = $modules[{json.dumps(name)}];\n"
            bundles[name] = self._join(first + needed + check, name, foot)
        return {FOLDER + _flatten(name): bundle for name, bundle in bundles.items()}

    def _find_needed(self, name: str) -> list[str]:
        """Find the other files, without that of the entry, that must be there before this one."""
        used = self._reach([*self._files[name], *([name] if name in self._lazy else [])])
        own = {self._entry, name}
        return sorted(one for one, names in self._files.items() if one not in own and names & used)

    def _check_names(self) -> None:
        taken: dict[str, str] = {}
        for name in self._files:
            other = taken.setdefault(_flatten(name), name)
            if other != name:
                raise ValueError(f"{other} and {name} would be one file: {_flatten(name)}")

    def _reach(self, names: Iterable[str]) -> set[str]:
        """Find what is loaded with these modules; not the vendored files, which are not joined."""
        waiting, found = list(names), set[str]()
        while waiting:
            name = waiting.pop()
            if name not in found and not name.startswith(VENDORED):
                found.add(name)
                waiting += self._modules[name].imports
        return found

    def _find_lazy(self, reached: set[str]) -> list[str]:
        """Find what is loaded later, also by what is loaded later."""
        found: dict[str, None] = {}
        waiting = sorted(reached)
        while waiting:
            targets = self._modules[waiting.pop()].lazy_imports
            fresh = [name for name in targets if name not in found and not name.startswith(VENDORED)]
            found |= dict.fromkeys(fresh)
            waiting += self._reach(fresh)
        return sorted(found)

    def _join(self, head: str, name: str, foot: str) -> Bundle:
        names = self._files[name]
        order = TopologicalSorter({one: self._modules[one].imports for one in sorted(names)}).static_order()
        modules = [self._modules[one] for one in order if one in names]
        vendored = sorted({one for module in modules for one in module.imports if one.startswith(VENDORED)})
        for index, path in enumerate(vendored):
            head += f'import * as $vendored{index} from "../{path}";'
            head += f"$modules[{json.dumps(path)}] = $vendored{index};"
        parts = [module.wrap() for module in modules]
        place = f"//# sourceMappingURL={_flatten(name)}.map\n"
        return Bundle("".join([head, "\n", *parts, foot, place]), _write_map(modules))


def _flatten(name: str) -> str:
    return name.replace("/", "-")


def _locate(name: str) -> str:
    """Write the address of what is loaded later, for a file in the folder of joined files."""
    return f"../{name}" if name.startswith(VENDORED) else f"./{_flatten(name)}"


def _write_map(modules: list[Module]) -> str:
    """Write a source map by lines: https://tc39.es/ecma426/."""
    return json.dumps(
        {
            "version": 3,
            "sources": [f"../{module.name}" for module in modules],
            "names": [],
            "mappings": ";" + "".join(_map_lines(modules)),
        }
    )


def _map_lines(modules: list[Module]) -> Iterator[str]:
    """Map the lines of each module; those that are added before and behind it have no source."""
    last = 0
    for index, module in enumerate(modules):
        yield ";"
        for line in range(module.code.rstrip().count("\n") + 1):
            source = int(index > 0 and line == 0)
            yield "".join(_encode(number) for number in (0, source, line - last, 0)) + ";"
            last = line
        yield ";;"


_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def _encode(number: int) -> str:
    """Encode a number in the digits of source maps, five bits in each, the lowest first."""
    rest, text = (abs(number) << 1) | (number < 0), ""
    while rest > 31:
        text += _DIGITS[32 | rest & 31]
        rest >>= 5
    return text + _DIGITS[rest]
