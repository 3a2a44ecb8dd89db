"""The rules of this house that a program can check."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
import textwrap
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.configuration import conf

from airflow_provider_pushmetrics.get_provider_info import get_provider_info

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "airflow_provider_pushmetrics"
SOURCES = sorted(PACKAGE.rglob("*.py"))
INFO = get_provider_info()
MAX_FUNCTION_LINES = 40
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def list_files(*suffixes: str) -> list[Path]:
    """List the repository's files; those that are new and not ignored too."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    files = [ROOT / name for name in listed.split("\0") if name]
    return [path for path in files if path.is_file() and (not suffixes or path.suffix in suffixes)]


def find_building_blocks(*kinds: str) -> Iterator[type]:
    """Find the classes that the modules of these kinds define."""
    for kind in kinds:
        for group in INFO[kind]:
            for name in group["python-modules"]:
                module = importlib.import_module(name)
                for _, found in inspect.getmembers(module, inspect.isclass):
                    if found.__module__ == name and not found.__name__.startswith("_"):
                        yield found


def load(path: str) -> Any:
    """Import what a path with dots names."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def list_registered() -> dict[str, str]:
    """List what the file for Airflow's registry names, each with its kind."""
    registry = yaml.safe_load((ROOT / ".airflow-registry.yaml").read_text("utf-8"))
    kinds = {kind: rows for kind, rows in registry.items() if isinstance(rows, list)}
    return {row["module"]: kind for kind, rows in kinds.items() for row in rows}


def list_paths_of_metadata() -> list[str]:
    """List every class and function that the metadata names."""
    uris = [
        row[key] for row in INFO["asset-uris"] for key in ("handler", "factory", "to_openlineage_converter")
    ]
    named = [*INFO["extra-links"], *INFO["notifications"], *INFO["queues"], *uris]
    return [row["hook-class-name"] for row in INFO["connection-types"]] + named


def list_paths_of_docs() -> list[str]:
    """List every name inside of the package that the documentation gives in full."""
    found = set(re.findall(r"airflow_provider_pushmetrics(?:\.\w+)+", read_docs()))
    return sorted(path for path in found if not path.endswith("_"))


@cache
def read_docs() -> str:
    return "\n".join(path.read_text("utf-8") for path in PAGES)


def list_parameters(block: type) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(block.__init__).parameters)  # type: ignore[misc]


TRANSFERS = [load(row["python-module"] + ".PushMetricsToObjectStorageOperator") for row in INFO["transfers"]]
OPERATORS = [
    block for block in find_building_blocks("operators", "sensors") if hasattr(block, "template_fields")
] + TRANSFERS
DEFERRABLE = [block for block in OPERATORS if "deferrable" in list_parameters(block)]


# --- the provider -----------------------------------------------------------------------------------------


def test_there_are_building_blocks_to_check() -> None:
    assert {block.__name__ for block in OPERATORS} >= {
        "PushMetricsTriggerReportOperator",
        "PushMetricsRunSensor",
    }


@pytest.mark.parametrize("block", OPERATORS)
def test_every_connection_id_is_templated(block: Any) -> None:
    names = {name for name in list_parameters(block) if name.endswith("_conn_id")}
    assert names
    assert names <= set(block.template_fields)


@pytest.mark.parametrize("block", OPERATORS)
def test_template_fields_are_a_tuple_of_parameters(block: Any) -> None:
    assert isinstance(block.template_fields, tuple)
    assert set(block.template_fields) <= set(list_parameters(block))


@pytest.mark.parametrize("block", DEFERRABLE)
def test_deferrable_has_the_standard_default(block: Any) -> None:
    standard = conf.getboolean("operators", "default_deferrable", fallback=False)
    assert list_parameters(block)["deferrable"].default is standard
    assert '"operators", "default_deferrable"' in inspect.getsource(block.__init__)


@pytest.mark.parametrize("block", [*OPERATORS, *find_building_blocks("hooks", "triggers")])
def test_every_parameter_of_a_building_block_is_described(block: Any) -> None:
    own = set(list_parameters(block)) - {"self", "args", "kwargs"} if "__init__" in vars(block) else set()
    described = set(re.findall(r":param (\w+):", block.__doc__ or ""))
    assert own - described == set()


DOCUMENTED_METHODS = [
    method
    for block in (
        load("airflow_provider_pushmetrics.hooks.pushmetrics.PushMetricsHook"),
        load("airflow_provider_pushmetrics.hooks.result_reader.ResultReader"),
        load("airflow_provider_pushmetrics.hooks.async_client.PushMetricsAsyncClient"),
        load("airflow_provider_pushmetrics.testing.kit.PushMetricsKit"),
    )
    for name, method in vars(block).items()
    if inspect.isfunction(method)
    and name.startswith(("fetch_", "stream_", "save_", "wait_", "trigger_", "run_"))
]


@pytest.mark.parametrize("method", DOCUMENTED_METHODS, ids=lambda method: method.__qualname__)
def test_every_parameter_and_result_of_a_public_method_is_described(method: Any) -> None:
    own = set(inspect.signature(method).parameters) - {"self"}
    described = set(re.findall(r":param (\w+):", method.__doc__ or ""))
    assert own - described == set()
    assert ":return: " in method.__doc__


@pytest.mark.parametrize("path", list_paths_of_metadata())
def test_everything_that_the_metadata_names_can_be_imported(path: str) -> None:
    assert callable(load(path))


@pytest.mark.parametrize("path", list_registered())
def test_everything_that_the_registry_file_names_can_be_imported(path: str) -> None:
    assert callable(load(path))


def test_the_registry_file_names_every_building_block_under_its_kind() -> None:
    registered = list_registered()
    for kind in ("hooks", "sensors", "triggers", "operators"):
        for block in find_building_blocks(kind):
            if block.__name__.startswith("PushMetrics"):
                assert registered.get(f"{block.__module__}.{block.__name__}") == kind
    assert [registered[f"{block.__module__}.{block.__name__}"] for block in TRANSFERS] == ["transfers"]
    assert [registered[path] for path in INFO["notifications"]] == ["notifiers"]


def test_the_registry_file_and_the_metadata_agree() -> None:
    registry = yaml.safe_load((ROOT / ".airflow-registry.yaml").read_text("utf-8"))
    assert (registry["package-name"], registry["display-name"]) == (INFO["package-name"], INFO["name"])


@pytest.mark.parametrize("path", list_paths_of_docs())
def test_everything_that_the_docs_name_in_full_can_be_imported(path: str) -> None:
    try:
        importlib.import_module(path)
    except ModuleNotFoundError:
        assert load(path) is not None


@pytest.mark.parametrize("row", INFO["connection-types"])
def test_the_hook_and_the_metadata_agree(row: dict[str, Any]) -> None:
    module, _, name = row["hook-class-name"].rpartition(".")
    hook = getattr(importlib.import_module(module), name)
    assert (hook.conn_type, hook.hook_name) == (row["connection-type"], row["hook-name"])
    assert (hook.conn_name_attr, hook.default_conn_name) == ("pushmetrics_conn_id", "pushmetrics_default")


# --- the documentation --------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", INFO["config"]["pushmetrics"]["options"])
def test_every_option_is_documented(option: str) -> None:
    assert f"`{option}`" in read_docs()


@pytest.mark.parametrize(
    "name",
    [block.__name__ for block in OPERATORS]
    + [row["hook-class-name"].rpartition(".")[2] for row in INFO["connection-types"]],
)
def test_every_operator_sensor_and_hook_is_documented(name: str) -> None:
    assert name in read_docs()


@pytest.mark.parametrize("field", INFO["connection-types"][0]["conn-fields"])
def test_every_field_of_the_connection_is_documented(field: str) -> None:
    assert f"`{field}`" in read_docs()


def find_links(page: Path) -> set[Path]:
    """Find the files of the repository that a page leads to."""
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8"))
    return {(page.parent / target).resolve() for target in targets if "://" not in target}


def test_the_index_of_the_docs_leads_to_every_page() -> None:
    pages = {*PAGES, *ROOT.glob("*.md")}
    index = ROOT / "docs" / "README.md"
    assert pages - find_links(index) == {index}
    assert index in find_links(ROOT / "README.md")


def test_no_command_of_the_docs_lets_pip_replace_airflow() -> None:
    """An extra that needs SQLAlchemy 2 makes pip replace an older Airflow, unless its version is named."""
    lines = [line.strip() for line in re.sub(r"\\\n\s*", "", read_docs()).splitlines()]
    installs = [
        line
        for line in lines
        if re.search(r"\bpip install\b.*(?:airflow-provider-pushmetrics|\s'?\.(?:\[|[`\s]|$))", line)
    ]
    assert len(installs) >= 5
    safe = ("apache-airflow==", "/bin/pip install", "--constraint constraints/airflow-")
    assert [line for line in installs if not any(word in line for word in safe)] == []


@pytest.mark.parametrize("page", ["SECURITY.md", "README.md", "docs/explain/exactly-once.md"])
def test_every_test_that_a_promise_names_exists(page: str) -> None:
    named = re.findall(r"`(tests/[^`]+)`", (ROOT / page).read_text("utf-8"))
    assert named
    assert [name for name in named if not is_test(name)] == []


def is_test(name: str) -> bool:
    """Return whether a file of tests exists, and the test in it if one is named."""
    path, _, test = name.partition("::")
    text = (ROOT / path).read_text("utf-8") if (ROOT / path).is_file() else ""
    return bool(re.search(rf"^(async )?def {test}\(" if test else "^(async )?def test_", text, re.M))


def test_each_promise_of_the_readme_names_a_test() -> None:
    (table,) = re.findall(
        r"^\| promise \| tests \|\n\|---\|---\|\n((?:\|.*\n)+)", (ROOT / "README.md").read_text("utf-8"), re.M
    )
    rows = table.splitlines()
    assert len(rows) >= 5
    assert [
        row for row in rows if not re.search(r"`tests/[^`]+\.py::test_\w+`", row.rpartition(" | ")[2])
    ] == []


# --- imports ------------------------------------------------------------------------------------------------


def test_the_parts_import_each_other_one_way_only() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout


# --- the example Dags ---------------------------------------------------------------------------------------

DAGS = sorted((ROOT / "dags").glob("*.py"))
HOW_TO_PAGES = sorted((ROOT / "docs" / "how-to").glob("*.md"))


@pytest.mark.parametrize("path", DAGS, ids=lambda path: path.stem)
def test_a_dag_is_named_like_its_file_and_marks_what_the_docs_show(path: Path) -> None:
    text = path.read_text("utf-8")
    assert f'dag_id="{path.stem}"' in text
    assert (
        len(re.findall(r"# \[START howto_\w+\]", text)) == len(re.findall(r"# \[END howto_\w+\]", text)) > 0
    )


def find_marked_code(path: str, name: str) -> str:
    """Find what an example Dag marks for the docs."""
    text = (ROOT / path).read_text("utf-8")
    (code,) = re.findall(rf"^ *# \[START {name}\]\n(.*?)^ *# \[END {name}\]", text, re.M | re.S)
    return f"{textwrap.dedent(code).strip()}\n"


@pytest.mark.parametrize("page", [*HOW_TO_PAGES, ROOT / "docs" / "provider.md"], ids=lambda page: page.stem)
def test_the_code_that_a_page_takes_from_an_example_is_the_code_of_the_example(page: Path) -> None:
    text = page.read_text("utf-8")
    blocks = re.findall(r"^<!-- (dags/\w+\.py) (\w+) -->\n```python\n(.*?)^```", text, re.M | re.S)
    assert len(blocks) == text.count("<!-- dags/")
    for path, name, code in blocks:
        assert code == find_marked_code(path, name), name
    if page in HOW_TO_PAGES:  # the page of all options links to examples that it does not repeat
        linked = set(re.findall(r"\.\./(dags/\w+\.py)", text))
        assert linked <= {path for path, _, _ in blocks}


# --- the code -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_function_is_longer_than_a_screen(path: Path) -> None:
    """Aim at 5 to 15 lines; the docstring and the parameters do not count here."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1
            assert lines <= MAX_FUNCTION_LINES, f"{node.name} has {lines} lines"


UNTYPED_LIMITS = {"service/api": 0, "service": 35}
"""How many functions return ``dict[str, Any]``: none of the API, and elsewhere the number only falls."""


@pytest.mark.parametrize(("folder", "limit"), UNTYPED_LIMITS.items())
def test_functions_that_return_untyped_dictionaries_only_become_fewer(folder: str, limit: int) -> None:
    found = [
        f"{path.relative_to(PACKAGE)}: {node.name}"
        for path in sorted((PACKAGE / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.returns is not None
        and "dict[str, Any]" in ast.unparse(node.returns)
    ]
    assert len(found) <= limit, found


def test_no_module_is_called_after_nothing() -> None:
    vague = {"utils", "util", "helpers", "helper", "manager", "common", "misc", "process", "data"}
    assert [path for path in PACKAGE.rglob("*.py") if path.stem in vague] == []


def test_the_repository_names_no_machine_and_no_index() -> None:
    # Written in pieces, so that this file does not name them either.
    forbidden = re.compile(
        "|".join(
            [
                "/ro" + "ot/",
                "/wo" + "rk/",
                "/ho" + "me/[a-z]",
                "index-" + "url",
                "find-" + "links",
                "pypi.org/" + "simple",
            ]
        )
    )
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in list_files()
        if (match := forbidden.search(path.read_text("utf-8", errors="replace")))
    ]
    assert found == []


def test_nothing_is_left_for_later() -> None:
    later = re.compile("|".join([r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b"]))
    assert [path for path in list_files(".py") if later.search(path.read_text("utf-8"))] == []


def test_the_layers_that_the_design_names_are_all_contracts() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = {contract["type"] for contract in settings["tool"]["importlinter"]["contracts"]}
    assert contracts == {"layers", "forbidden", "independence"}


MAX_MODULES = 14
LIKE_SIBLINGS = {"service/api"}
"""Folders with one module for each resource: they may hold more."""


def test_no_folder_has_more_than_14_modules() -> None:
    counts = Counter(
        path.parent.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py"
    )
    crowded = {folder: count for folder, count in counts.items() if count > MAX_MODULES}
    assert crowded.keys() - LIKE_SIBLINGS == set(), crowded


MAX_MODULE_LINES = 400


def test_no_module_is_longer_than_400_lines() -> None:
    lengths = {path.relative_to(PACKAGE): len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    assert {path: length for path, length in lengths.items() if length > MAX_MODULE_LINES} == {}


SHARED_CLASS_NAMES = {
    "Report": "the service's table, and the client's view of the same report",
    "Run": "the service's table, and the client's view of the same run",
    "RunOutputs": "the service's schema of an answer, and the client's model of it",
    "TriggeredRun": "the service's schema of an answer, and the client's model of it",
}
"""Names of two public classes, and why: both are the same thing, one on each side of the API."""


def test_one_class_name_is_one_class() -> None:
    places: dict[str, list[str]] = {}
    for path in SOURCES:
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(str(path.relative_to(PACKAGE)))
    shared = {name: paths for name, paths in places.items() if len(paths) > 1}
    assert {name: paths for name, paths in shared.items() if name not in SHARED_CLASS_NAMES} == {}
    assert set(SHARED_CLASS_NAMES) == set(shared)
    assert all(len(paths) == 2 for paths in shared.values())


def list_numeric_constants() -> Iterator[tuple[str, str, object]]:
    """List the public constants of all modules whose values are numbers: name, module, value."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            if (
                isinstance(node, ast.Assign)
                and isinstance(name := node.targets[0], ast.Name)
                and name.id.isupper()
            ):
                try:
                    value = eval(
                        compile(ast.Expression(node.value), "constant", "eval"), {"__builtins__": {}}
                    )
                except Exception:  # made of other names
                    continue
                if isinstance(value, int | float) and not name.id.startswith("_"):
                    yield name.id, path.relative_to(PACKAGE).as_posix(), value


def test_one_constant_name_has_one_value() -> None:
    values: dict[str, dict[str, object]] = {}
    for name, module, value in list_numeric_constants():
        values.setdefault(name, {})[module] = value
    assert {name: found for name, found in values.items() if len(set(found.values())) > 1} == {}


RETIRED = frozenset(
    {
        "Audience",
        "Courier",
        "Elsewhere",
        "Executing",
        "FrontDesk",
        "Gatekeeper",
        "Housekeeper",
        "Patience",
        "Perseverance",
        "Postman",
        "Salvage",
        "Timekeeper",
        "UpdateWish",
        "Workshop",
    }
)
"""Names of classes that the field has a standard term for."""


RETIRED_VERBS = frozenset(
    {
        "admit",
        "attend",
        "bear",
        "bury",
        "dismiss",
        "forget",
        "greet",
        "introduce",
        "look",
        "note",
        "noting",
        "say",
        "tell",
        "telling",
    }
)
"""First words of function names. The field has standard verbs: notify, poll, record, add, delete."""

RETIRED_PHRASES = (
    "as far as anybody",
    "at the most",
    "ended well",
    "for ever",
    "goes on",
    "nobody can say",
    "what became of",
    "where nobody",
    "who is told",
)
"""Phrases for which the documentation has short standard words."""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_retired_name_came_back(path: Path) -> None:
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    functions = [node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    names = {
        node.id if isinstance(node, ast.Name) else node.name
        for node in nodes
        if isinstance(node, ast.Name | ast.ClassDef)
    }
    assert (names | set(functions)) & RETIRED == set()
    assert [name for name in functions if name.strip("_").partition("_")[0] in RETIRED_VERBS] == []


@pytest.mark.parametrize("phrase", RETIRED_PHRASES)
def test_the_documentation_has_no_retired_phrase(phrase: str) -> None:
    assert re.search(rf"\b{phrase}\b", read_docs().lower()) is None


OTHER_SPELLINGS = {
    "analyse": "analyze",
    "armour": "armor",
    "artefact": "artifact",
    "behaviour": "behavior",
    "canceled": "cancelled",  # as the API's states, Airflow and Python's CancelledError write it
    "canceling": "cancelling",
    "catalogue": "catalog",
    "centre": "center",
    "cheque": "check",
    "colour": "color",
    "defence": "defense",
    "dialogue": "dialog",
    "favour": "favor",
    "fibre": "fiber",
    "flavour": "flavor",
    "focuss": "focus",
    "fulfils": "fulfills",
    "grey": "gray",
    "harbour": "harbor",
    "honour": "honor",
    "instalment": "installment",
    "judgement": "judgment",
    "knowledgement": "knowledgment",
    "labelled": "labeled",
    "labelling": "labeling",
    "labour": "labor",
    "learnt": "learned",
    "levelled": "leveled",
    "licence": "license",
    "marshalled": "marshaled",
    "marshalling": "marshaling",
    "misspelt": "misspelled",
    "modelled": "modeled",
    "modelling": "modeling",
    "neighbour": "neighbor",
    "offence": "offense",
    "pretence": "pretense",
    "programme": "program",
    "rigour": "rigor",
    "sceptic": "skeptic",
    "signalled": "signaled",
    "signalling": "signaling",
    "spelt": "spelled",
    "travelled": "traveled",
    "travelling": "traveling",
    "tunnelled": "tunneled",
    "tunnelling": "tunneling",
    "whilst": "while",
}
"""What is not written, and what is: American. The left is found in longer words too."""

OTHER_VERBS = re.compile(
    "(?:author|capital|categor|character|custom|emphas|final|general|initial|item|local|maxim|minim|modern|neutral"
    "|normal|optim|organ|parallel|priorit|random|real|recogn|sanit|serial|special|stabil|standard|summar|symbol"
    "|synchron|token|util|visual)is(?:e|ing|ation)"
)
"""Verbs that end in -ize."""

AMERICAN = frozenset({"labelledby", "programmed", "programmer", "programmers", "programmes"})
"""Words that have one of the left in them; the first is an attribute of HTML."""

NAMES_OF_OTHERS = frozenset(
    {
        "_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_",  # in SQLite's documentation
        "analyse",  # a keyword of PostgreSQL
        "get_ui_field_behaviour",  # of Airflow, as the next one
        "ui-field-behaviour",
    }
)

A_STATE = "the state of a run as another server may write it"
SPELLED_OTHERWISE = {
    "airflow_provider_pushmetrics/client/models.py": A_STATE,
    "tests/unit/client/test_models.py": A_STATE,
}
"""Files with other spellings, and why."""

NOT_OURS = re.compile(r"/vendored/|^constraints/|^LICENSE$|^package-lock|^tests/upgrade/versions/|\.png$")


def find_other_spellings(text: str) -> set[str]:
    """Find words that are spelled otherwise, also in names such as ``listNeighbors`` and ``LICENSE_FILE``."""
    names = set(re.findall(r"[A-Za-z_][\w-]*", text)) - NAMES_OF_OTHERS
    words = {word.lower() for name in names for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}
    return {
        word
        for word in words - AMERICAN
        if OTHER_VERBS.search(word) or any(part in word for part in OTHER_SPELLINGS)
    }


def test_spelling_is_american() -> None:
    texts = {path.relative_to(ROOT).as_posix(): path for path in list_files()}
    found = {
        name: words
        for name, path in texts.items()
        if path != Path(__file__)
        and not NOT_OURS.search(name)
        and (words := find_other_spellings(path.read_text("utf-8", errors="replace")))
    }
    assert {name: words for name, words in found.items() if name not in SPELLED_OTHERWISE} == {}
    assert found.keys() >= SPELLED_OTHERWISE.keys(), "files that have followed leave the list"


TESTS = sorted((ROOT / "tests").rglob("*.py"))


def list_calls(path: Path, *names: str) -> Iterator[ast.Call]:
    """List the calls of methods and functions of modules with these names."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names:
            yield node


def list_foreign_modules(path: Path) -> set[str]:
    """List the names under which a file imports what is not ours."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    foreign = {
        alias.asname or alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names
    }
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and not (node.module or "").startswith(
            ("airflow_provider", "tests")
        ):
            foreign |= {alias.asname or alias.name for alias in node.names}
    return foreign


def test_no_test_patches_our_own_code() -> None:
    patched = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in TESTS
        for call in list_calls(path, "setattr")
        if not (
            ast.unparse(call.args[0])
            in {*list_foreign_modules(path), "task_runner"}  # the latter is Airflow's
            or (isinstance(call.args[0], ast.Constant) and str(call.args[0].value).startswith("airflow."))
        )
    ]
    assert patched == []


def test_no_unit_test_sleeps() -> None:
    asleep = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in sorted((ROOT / "tests" / "unit").rglob("*.py"))
        for call in list_calls(path, "sleep")
        if not (isinstance(call.args[0], ast.Constant) and call.args[0].value == 0)
        and "0 if" not in ast.unparse(call)
    ]
    assert asleep == []
