"""Every block of code of the pages is checked, and what is wrong in one is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.docs_blocks.__main__ import CHECKS, SHELL, check_page
from scripts.docs_blocks.blocks import ROOT, find_blocks, list_pages
from scripts.docs_blocks.shell import record_commands
from tests.fakes.airflow_versions import needs_airflow

pytestmark = needs_airflow("3.3")  # the commands and options of the pages are those of this Airflow


def find_faults(text: str) -> list[str]:
    return list(check_page("a_page.md", text))


@pytest.mark.parametrize("page", list_pages(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_page_has_no_fault(page: Path) -> None:
    assert list(check_page(page.relative_to(ROOT).as_posix(), page.read_text("utf-8"))) == []


def test_every_language_of_the_pages_is_checked_and_no_other_is_declared() -> None:
    used = {block.language for page in list_pages() for block in find_blocks("", page.read_text("utf-8"))}
    assert used == {*CHECKS, *SHELL}


@pytest.mark.parametrize(
    ("language", "code", "fault"),
    [
        ("bash", "pushmetrics doctor --jsn", "No such option: --jsn"),
        ("bash", "pushmetrics docter", "has no command 'docter'"),
        ("bash", "pushmetrics service backup", "Missing argument"),
        ("bash", "venv/bin/pushmetrics doctor --jsn", "No such option: --jsn"),
        ("console", "$ pushmetrics doctor \\\n    --jsn\nok  versions", "No such option: --jsn"),
        ("bash", "airflow connections ad x", "invalid choice: 'ad'"),
        ("bash", "airflow connections add x --conn-hosts y", "--conn-hosts"),
        ("bash", "pip instal .", "no command 'instal'"),
        ("bash", "pip install --constraints constraints/airflow-3.3.txt .", "--constraints"),
        ("bash", "pip install '.[reciever]'", "no extra 'reciever'"),
        ("bash", "pip install . --constraint constraints/airflow-1.9.txt", "no file"),
        ("bash", "make dmo", "no target 'dmo'"),
        ("bash", "make chaos SEEED=1", "no variable 'SEEED'"),
        ("bash", "python3 docker/prepared.py", "no script 'docker/prepared.py'"),
        ("bash", "python -c 'print('", "does not compile"),
        ("bash", "docker compose up --detatch", "no option '--detatch'"),
        ("bash", "docker compose --file gone.yaml up", "'gone.yaml', which does not exist"),
        ("bash", "docker compose exec airflow-workers pushmetrics doctor", "no service 'airflow-workers'"),
        ("bash", "docker compose exec airflow-worker pushmetrics docter", "has no command 'docter'"),
        ("bash", "kubectl exec deployment/a -- pushmetrics service backup", "Missing argument"),
        ("bash", "helm install push deploy/helm/pushmetrics --set service.url=x", "no value for"),
        ("bash", "helm install push deploy/helm/gone", "not a name and a chart"),
        ("bash", "curl http://127.0.0.1:8090/api/v1/webhooks/1", "no GET /api/v1/webhooks/1"),
        ("bash", "curl --data '{' http://127.0.0.1:8090/api/v1/webhook_subscription/", "is not JSON"),
        ("bash", "systemctl restart airflow", "'systemctl' is not known"),
        ("bash", "curl $TRIGGER_URL", "TRIGGER_URL: unbound variable"),
        ("bash", "curl 'http://", "unexpected EOF"),
        ("bash", ". ./settings.sh", "No such file"),
        ("bash", "export PUSHMETRICS_SERVICE_TOKN=1", "nobody reads the variable PUSHMETRICS_SERVICE_TOKN"),
        (
            "bash",
            "export AIRFLOW__TRACES__OTEL_OM=True",
            "nobody reads the variable AIRFLOW__TRACES__OTEL_OM",
        ),
        ("bash", "export OTEL_EXPORTER_ENDPOINT=x", "OTEL_EXPORTER_ENDPOINT is exported"),
        ("bash", 'export AIRFLOW_CONN_A=\'{"conn_type": "pushmetrics", "extras": {}}\'', "has no extras"),
        (
            "bash",
            "export AIRFLOW_CONN_A='pushmetrics://h?__extra__=%7B%22tokens%22%3A1%7D'",
            "no extra tokens",
        ),
        ("dockerfile", "FROM x\nRUN pip install .[gone]", "is not known|no extra|pip"),
        ("dockerfile", "FROM x\nCOPY gone.txt /tmp/", "no such file"),
        ("ini", "[pushmetrics]\nreader_tokn = x", "no option 'reader_tokn'"),
        ("json", "{", "is not JSON"),
        ("json", "{}", "needs a mark"),
        ("yaml", "a: [", "is not YAML"),
        ("yaml", "a: b", "needs a mark"),
        ("nginx", "server {", "braces"),
        ("nginx", "proxy_pas http://a;", "no directive 'proxy_pas'"),
        ("python", "def", "does not compile"),
        ("", "anything", "nothing checks a block of 'no language'"),
        ("ruby", "puts 1", "nothing checks a block of 'ruby'"),
    ],
)
def test_a_fault_in_a_block_is_found(language: str, code: str, fault: str) -> None:
    faults = find_faults(f"# A page\n\n```{language}\n{code}\n```\n")
    assert [one for one in faults if any(part in one for part in fault.split("|"))], faults


@pytest.mark.parametrize(
    ("mark", "language", "code", "fault"),
    [
        ("extra", "json", '{"verfy": true}', "no extra verfy"),
        ("connections", "json", '{"a": {"conn_typ": "pushmetrics"}}', "no conn_typ"),
        ("sources", "json", '[{"nam": "a"}]', "no nam"),
        ("compose", "yaml", "services: {wrker: {image: a}}", "no service 'wrker'"),
        ("compose", "yaml", "services: {worker: {imag: a}}", "'imag'"),
        ("prometheus-adapter", "yaml", "a: pushmetrics_service_lag", "no metric pushmetrics_service_lag"),
    ],
)
def test_a_marked_block_is_compared_with_what_it_is(mark: str, language: str, code: str, fault: str) -> None:
    (found,) = find_faults(f"<!-- {mark} -->\n```{language}\n{code}\n```\n")
    assert fault in found


@pytest.mark.parametrize(
    "mention",
    [
        "pushmetrics docter",
        "pushmetrics receiver events --rejectd",
        "airflow connection test",
        "make dmo",
        "PUSHMETRICS_SERVICE_TOKN",
        "AIRFLOW__PUSHMETRICS__TOKN_CMD",
    ],
)
def test_a_command_or_variable_that_a_text_names_and_nobody_knows_is_found(mention: str) -> None:
    assert len(find_faults(f"Run `{mention}` first.\n")) == 1


def test_the_file_of_a_drawing_has_to_exist() -> None:
    text = "```text\nservice/api/trigger_calls.py and service/api/gone.py\n```\n"
    assert list(check_page("docs/architecture.md", text)) == [
        "docs/architecture.md:2: there is no file service/api/gone.py"
    ]


def test_an_indented_block_is_a_block() -> None:
    (fault,) = find_faults("1. First:\n\n   ```bash\n   pushmetrics docter\n   ```\n")
    assert "a_page.md:4: pushmetrics has no command 'docter'" in fault


def test_reading_a_block_starts_no_program(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n: >{tmp_path}/started\n")
    program.chmod(0o755)
    ways = [
        f"{program} --now",
        f"a={program}; $a --now",
        f'"{program}" --now',
        f"true && {program} | {program}",
        f"echo $({program})",
        f"{program} &",
        f"A=1 {program} --now",
        f"A='b c' B=\"d $(ls)\" {program} --now",
        f"while {program}; do break; done",
    ]
    for way in ways:
        blocks = list(find_blocks("a_page.md", f"```bash\n{way}\n```\n"))
        recorded = record_commands(blocks, {})
        assert not (tmp_path / "started").exists(), way
        programs = [words[0].strip('"') for _, words in recorded.commands]
        assert {str(program), "$a"} & {*programs}, (way, recorded)


def test_a_command_gets_its_arguments_as_bash_expands_them() -> None:
    text = "```bash\nhost=a\nexport KEY=v\ncurl -d \"{$host}\" 'b c' $(head -1) | ls\n```\n"
    recorded = record_commands(list(find_blocks("a_page.md", text)), {})
    assert sorted(words for _, words in recorded.commands) == [
        ("curl", "-d", "{a}", "b c", "recorded"),
        ("head", "-1"),
        ("ls",),
    ]
    assert [variables for _, variables in recorded.variables] == [{"KEY": "v"}]
