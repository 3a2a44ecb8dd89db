"""Modules are joined so that they run as before, and every line says which file it is from."""

from __future__ import annotations

import json
import shutil
import subprocess
from itertools import accumulate
from pathlib import Path

import pytest

from airflow_provider_pushmetrics.service.web.bundling import OWN_FILE_BYTES, Bundler

ENTRY = """// The entry.
import { twice as double } from "./numbers/twice.js";
import * as texts from "./texts.js";
import {
  greet,
} from "./texts.js";
import "./effects.js";

console.log(double(21), texts.greet("you"), greet("all"));
import("./later.js").then(({ later, Later }) => {
  console.log(later(), new Later().name);
  return import("./other.js").then(({ other }) => console.log(other()));
});
"""
SOURCES = {
    "app.js": ENTRY,
    "numbers/twice.js": "/** Double a number. */\nexport const twice = (n) => 2 * n;\nconst own = 1;\n",
    "texts.js": "const own = 2;\nexport function greet(whom) {\n  return `Hello ${whom}`;\n}\n",
    "effects.js": 'console.log("effect");\n',
    "later.js": 'import { shared } from "./shared.js";\nimport { twice } from "./numbers/twice.js";\n'
    "export const later = () => `later ${shared()} ${twice(4)}`;\n"
    'export class Later {\n  name = "class";\n}\n',
    "other.js": 'import { shared } from "./shared.js";\n'
    "export async function other() {\n  return `other ${shared()}`;\n}\n",
    "shared.js": "let calls = 0;\nexport function shared() {\n  calls += 1;\n  return calls;\n}\n",
}


def join(sources: dict[str, str], version: str = "v1") -> dict[str, str]:
    return {name: one.code for name, one in Bundler(sources, "app.js").join(version).items()}


def run(folder: Path, files: dict[str, str]) -> list[str]:
    node = shutil.which("node")
    if not node:
        pytest.skip("node is not installed")
    (folder / "package.json").write_text('{"type": "module"}')
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (entry,) = [folder / name for name in files if name.endswith("app.js")]
    done = subprocess.run([node, entry], capture_output=True, text=True, timeout=120)
    return (done.stdout + done.stderr).splitlines()


def test_joined_modules_do_what_the_modules_do(tmp_path: Path) -> None:
    expected = run(tmp_path / "", SOURCES)
    joined = tmp_path / "joined"
    joined.mkdir()
    assert run(joined, join(SOURCES)) == expected
    assert "later 1 8 class" in " ".join(expected)


def test_what_several_later_files_need_is_in_the_first_and_exists_once() -> None:
    bundles = join(SOURCES)
    assert set(bundles) == {"bundles/app.js", "bundles/later.js", "bundles/other.js"}
    assert [name for name, text in bundles.items() if "let calls" in text] == ["bundles/app.js"]


def test_what_few_later_files_need_has_its_own_file_if_it_is_large(tmp_path: Path) -> None:
    sources = SOURCES | {
        "app.js": ENTRY + "".join(f'import("./page{number}.js");\n' for number in range(3)),
        "shared.js": SOURCES["shared.js"] + f'export const large = "{"x" * OWN_FILE_BYTES}";\n',
    }
    sources |= {f"page{number}.js": "export const page = 1;\n" for number in range(3)}
    bundles = join(sources)
    (own,) = [name for name, text in bundles.items() if "let calls" in text]
    needing = [
        name for name, text in bundles.items() if f'import "./{own.removeprefix("bundles/")}";' in text
    ]
    assert (own, needing) == ("bundles/$shared-shared.js", ["bundles/later.js", "bundles/other.js"])
    (tmp_path / "joined").mkdir()
    assert run(tmp_path / "joined", bundles) == run(tmp_path, sources)


def test_folder_may_be_named_shared_and_have_a_module_of_the_name_of_a_shared_one(tmp_path: Path) -> None:
    """``shared.js`` has a file of its own, and ``later.js`` has ``shared/shared.js``, which needs it."""
    names = ["other", "later", *(f"page{number}" for number in range(3))]
    loads = [
        f'.then(() => import("./{name}.js"))\n  .then((one) => console.log(one.{name}()))' for name in names
    ]
    sources = SOURCES | {
        "app.js": "\n  ".join(["Promise.resolve()", *loads]) + ";\n",
        "shared.js": SOURCES["shared.js"] + f'export const large = "{"x" * OWN_FILE_BYTES}";\n',
        "shared/shared.js": 'import { shared as count } from "../shared.js";\n'
        "const first = count();\nexport const shared = () => first + count();\n",
        "later.js": SOURCES["later.js"].replace("./shared.js", "./shared/shared.js"),
    }
    sources |= {f"{name}.js": f"export const {name} = () => 1;\n" for name in names[2:]}
    bundles = join(sources)
    (tmp_path / "joined").mkdir()
    assert run(tmp_path / "joined", bundles) == run(tmp_path, sources)
    assert "let calls" in bundles["bundles/$shared-shared.js"]


def test_size_of_an_own_file_is_counted_in_bytes() -> None:
    sources = SOURCES | {
        "app.js": ENTRY + "".join(f'import("./page{number}.js");\n' for number in range(3)),
        "shared.js": SOURCES["shared.js"] + f'export const large = "{"ж" * (OWN_FILE_BYTES // 2)}";\n',
    }
    sources |= {f"page{number}.js": "export const page = 1;\n" for number in range(3)}
    assert "bundles/$shared-shared.js" in join(sources)


def test_what_the_first_file_needs_is_in_it_however_large_it_is(tmp_path: Path) -> None:
    """``shared.js`` is large and for three of seven, and what imports it for two of these is small."""
    loads = [f'import("./page{number}.js").then(({{ page }}) => console.log(page));' for number in range(5)]
    small = 'import { shared } from "./shared.js";\nexport const small = () => shared();\n'
    sources = SOURCES | {
        "app.js": ENTRY + "\n".join(loads),
        "shared.js": SOURCES["shared.js"] + f'export const large = "{"x" * OWN_FILE_BYTES}";\n',
        "small.js": small,
        "later.js": 'import "./small.js";\n' + SOURCES["later.js"],
        "other.js": 'import "./small.js";\n' + SOURCES["other.js"],
        "page0.js": 'import { large } from "./shared.js";\nexport const page = large.length;\n',
    }
    sources |= {f"page{number}.js": "export const page = 0;\n" for number in range(1, 5)}
    bundles = join(sources)
    assert "let calls" in bundles["bundles/app.js"]
    (tmp_path / "joined").mkdir()
    assert sorted(run(tmp_path / "joined", bundles)) == sorted(run(tmp_path, sources))


def test_file_of_another_version_is_refused(tmp_path: Path) -> None:
    mixed = join(SOURCES) | {"bundles/later.js": join(SOURCES, "v2")["bundles/later.js"]}
    assert "The web interface was updated: reload the page" in " ".join(run(tmp_path, mixed))


def test_vendored_file_is_imported_and_not_joined() -> None:
    sources = {
        "app.js": 'export const load = () => import("./editor.js");\n'
        'export const draw = () => import("./vendored/b.js");\n',
        "editor.js": 'import { a } from "./vendored/a.js";\nexport const editor = a;\n',
    }
    bundles = join(sources)
    assert set(bundles) == {"bundles/app.js", "bundles/editor.js"}
    assert 'import("../vendored/b.js")' in bundles["bundles/app.js"]
    assert 'import * as $vendored0 from "../vendored/a.js";' in bundles["bundles/editor.js"]


@pytest.mark.parametrize(
    "line",
    [
        "export default 1;",
        "export let x = 1;",
        'export { x } from "./x.js";',
        'export * from "./x.js";',
        'import x from "./x.js";',
        "import { x } from './x.js';",
        'await import("./x.js");',
        'const { x } = await import("./x.js");',
        "for await (const x of []) console.log(x);",
    ],
)
def test_import_or_export_of_an_unknown_kind_and_waiting_are_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"app\.js: .* cannot be joined"):
        join({"app.js": f"{line}\n", "x.js": "export const x = 1;\n"})


def test_waiting_in_a_function_is_joined() -> None:
    source = (
        "const load = async () => await Promise.resolve(1);\nasync function run() {\n  await load();\n}\n"
    )
    assert "await load();" in join({"app.js": source})["bundles/app.js"]


def test_two_files_of_one_name_are_refused() -> None:
    sources = {
        "app.js": 'import("./a-b/c.js");\nimport("./a/b-c.js");\n',
        "a-b/c.js": "export const c = 1;\n",
        "a/b-c.js": "export const c = 2;\n",
    }
    with pytest.raises(ValueError, match=r"a-b/c\.js and a/b-c\.js would be one file: a-b-c\.js"):
        join(sources)


def test_comments_are_left_out_and_what_only_looks_like_one_stays() -> None:
    source = (
        "// a comment\n/* another\n   one */\n/**\n * @param {string} b\n */\n"
        'const a = /** @type {any} */ ("//not"); // behind\n'
        "/** @type {any} */ (a).b = 1; /* kept */ a.c = 2;\n"
    )
    text = join({"app.js": source})["bundles/app.js"]
    assert [line for line in text.splitlines() if line][2:4] == source.splitlines()[6:]


def decode(mappings: str) -> list[tuple[int, int] | None]:
    """Read the source and the line of each line of a source map; independent of how it was written."""
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    rows: list[list[int] | None] = []
    for segment in mappings.split(";"):
        numbers, value, shift = [], 0, 0
        for digit in map(digits.index, segment):
            value |= (digit & 31) << shift
            shift += 5
            if digit < 32:
                numbers.append(-(value >> 1) if value & 1 else value >> 1)
                value = shift = 0
        rows.append(numbers or None)
    sources = accumulate(row[1] if row else 0 for row in rows)
    lines = accumulate(row[2] if row else 0 for row in rows)
    return [(one, line) if row else None for row, one, line in zip(rows, sources, lines, strict=True)]


def test_source_map_leads_from_every_line_to_its_line_in_its_file() -> None:
    for bundle in Bundler(SOURCES, "app.js").join("v1").values():
        found = json.loads(bundle.source_map)
        mapped = 0
        for text, place in zip(bundle.code.splitlines(), decode(found["mappings"]), strict=False):
            if place is None:
                assert not text or text.startswith(
                    ("export const", "import {", "$modules[", "return {", "})();", "//#")
                )
                continue
            source = SOURCES[found["sources"][place[0]].removeprefix("../")].splitlines()[place[1]]
            if not source.startswith(("import", "}")):
                assert text in ("", source, source.removeprefix("export "))
            mapped += 1
        names = [name.removeprefix("../") for name in found["sources"]]
        assert mapped == sum(len(SOURCES[name].splitlines()) for name in names)
