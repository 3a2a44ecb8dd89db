"""docker-compose.yaml: its commands as processes with a real Celery worker, and what the file promises."""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from dotenv import dotenv_values

from airflow_provider_pushmetrics.serving.http.connections import build_config, refuse_head
from tests.fakes.containers import find_hindrance, run_containers
from tests.fakes.deployment_tools import ROOT, install_tools
from tests.fakes.service_process import find_free_port
from tests.fakes.waiting import wait_until

LIMIT_SECONDS = 1500
CARRIERS = 10
"""What flew from JFK in February 2013."""
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text("utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
LASTING = {name: service for name, service in SERVICES.items() if service["restart"] != "no"}


def prepare(folder: Path) -> str:
    command = [sys.executable, str(ROOT / "docker" / "prepare.py"), str(folder)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def change_settings(folder: Path, **settings: str) -> None:
    values = {**dotenv_values(ROOT / ".env.example"), **settings}
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in values.items()), "utf-8")


def read_all(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "secrets").iterdir()}


# --- the commands -------------------------------------------------------------------------------------------


@pytest.mark.timeout(LIMIT_SECONDS + 60)
@pytest.mark.soak  # it needs the rights of root over namespaces
@pytest.mark.parametrize("profile", ["full", "dev"])
def test_the_commands_of_the_file_do_the_main_job(tmp_path: Path, profile: str) -> None:
    hindrance = find_hindrance()
    if hindrance:
        pytest.skip(hindrance)
    change_settings(tmp_path, HTTPS_PORT="443")
    prepare(tmp_path)
    folders = [str(Path(sys.executable).parent), str(install_tools() / "bin"), os.environ["PATH"]]
    folders += ["/usr/sbin", "/sbin"]
    report = run_containers(tmp_path, profile, os.pathsep.join(folders), LIMIT_SECONDS)
    job = report["job"]
    assert (job["trigger"], job["webhook"]) == ("success", ["success", "asset_triggered"])
    assert len(job["rows"]) == CARRIERS
    assert {"carrier", "name", "flights", "mean_dep_delay"} == set(job["rows"][0])
    assert report["seen_processes"] > 1000
    assert report["seen_secrets"] == [], "a list of processes shows them"
    assert [name for name, seconds in report["stopped_after"].items() if seconds is None] == []
    if profile == "full":
        assert job["answers"] == {
            "service": 200,
            "service's figures": 404,
            "receiver": 200,
            "receiver's events": 404,
            "worker": 200,
        }
        assert "Executing workload in Celery" in (tmp_path / "airflow-worker.log").read_text("utf-8")
    assert find_secrets(tmp_path) == []


def find_secrets(folder: Path) -> list[str]:
    """Find the logs that hold a secret."""
    texts = [content.decode().strip() for content in read_all(folder).values()]
    secrets = [text for text in texts if "\n" not in text and "{" not in text]
    logs = {path.name: path.read_text("utf-8", "replace") for path in folder.glob("*.log")}
    assert len(logs) > 5
    return [name for name, log in logs.items() if any(secret in log for secret in secrets)]


@pytest.mark.slow
def test_the_log_of_the_proxy_has_no_token_of_a_request_that_no_backend_answers(tmp_path: Path) -> None:
    prepare(tmp_path)
    known = {name: value or "" for name, value in dotenv_values(tmp_path / ".env").items()}
    settings = {**known, "HTTPS_PORT": str(find_free_port())}
    text = (ROOT / "docker" / "Caddyfile").read_text("utf-8").replace("/run/secrets/", f"{tmp_path}/secrets/")
    (tmp_path / "Caddyfile").write_text(text.replace(":8081", f":{find_free_port()}"), "utf-8")
    caddy = str(install_tools() / "bin" / "caddy")
    command = [caddy, "run", "--config", "Caddyfile", "--adapter", "caddyfile"]
    environment = {**os.environ, **settings, "HOME": str(tmp_path)}
    with (tmp_path / "proxy.log").open("wb") as log:
        proxy = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    try:
        answer = wait_until(lambda: send_with_tokens(tmp_path, settings), "an answer of the proxy")
    finally:
        proxy.terminate()
        proxy.wait(60)
    log_text = (tmp_path / "proxy.log").read_text("utf-8")
    assert answer.status_code >= 500
    assert "/api/v1/webhook/1/trigger" in log_text, "an error is logged"
    assert "hidden" not in log_text


@pytest.mark.slow
def test_the_proxy_keeps_no_connection_that_a_server_may_be_closing(tmp_path: Path) -> None:
    caddy = str(install_tools() / "bin" / "caddy")
    command = [caddy, "adapt", "--config", str(ROOT / "docker" / "Caddyfile"), "--adapter", "caddyfile"]
    settings = {name: value or "" for name, value in dotenv_values(ROOT / ".env.example").items()}
    environment = {**os.environ, **settings, "HOME": str(tmp_path)}
    adapted = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    transports = find_transports(json.loads(adapted.stdout))
    assert len(transports) == 3
    closes_after = build_config(refuse_head, lifespan="off", graceful_seconds=1).timeout_keep_alive
    for transport in transports:
        assert 0 < transport["keep_alive"]["idle_timeout"] < closes_after * 10**9


def find_transports(node: Any) -> list[dict[str, Any]]:
    """Find how the proxy reaches its servers, in its configuration."""
    if isinstance(node, list):
        return [found for one in node for found in find_transports(one)]
    if not isinstance(node, dict):
        return []
    own = [node["transport"]] if node.get("handler") == "reverse_proxy" else []
    return own + [found for one in node.values() for found in find_transports(one)]


def send_with_tokens(folder: Path, settings: dict[str, str]) -> httpx.Response | None:
    """Send a request with a token wherever one can be; None as long as the proxy does not listen."""
    context = ssl.create_default_context(cafile=folder / "secrets" / "ca.crt")
    name = settings["PUSHMETRICS_HOST"]
    headers = {"Host": name, "Referer": f"https://{name}/?token=hidden", "X-Token": "hidden"}
    headers |= {"Authorization": "Bearer hidden", "Cookie": "session=hidden"}
    with httpx.Client(verify=context, timeout=60, trust_env=False) as client, suppress(httpx.ConnectError):
        return client.get(
            f"https://127.0.0.1:{settings['HTTPS_PORT']}/api/v1/webhook/1/trigger?token=hidden",
            headers=headers,
            extensions={"sni_hostname": name},
        )
    return None


def test_the_page_adds_object_storage_to_all_that_keep_results() -> None:
    page = (ROOT / "docs" / "how-to" / "docker-compose.md").read_text("utf-8")
    (text,) = re.findall(r"```yaml\n# object-storage.yaml\n(.*?)```", page, re.S)
    added = yaml.safe_load(text)
    keepers = {name for name, one in SERVICES.items() if "--data" in one.get("command", [])}
    assert set(added["services"]) == keepers - {"dev-service"}
    for service in added["services"].values():
        assert service["environment"].keys() >= {"PUSHMETRICS_SERVICE_RESULTS_URL"}
        assert set(service["secrets"]) == set(added["secrets"])


# --- prepare ------------------------------------------------------------------------------------------------


def test_prepare_writes_every_secret_of_the_file_and_keeps_it(tmp_path: Path) -> None:
    assert str(tmp_path / "secrets") in prepare(tmp_path)
    first = read_all(tmp_path)
    assert {f"secrets/{name}" for name in first} == {one["file"] for one in COMPOSE["secrets"].values()}
    prepare(tmp_path)
    assert read_all(tmp_path) == first


def test_a_new_secret_reaches_every_file_that_has_it(tmp_path: Path) -> None:
    prepare(tmp_path)
    names = [f"{role}_db_password" for role in ("airflow", "inbox", "service")] + ["redis_password"]
    names += [f"pushmetrics_{kind}_token" for kind in ("api", "reader", "trigger")]
    old = [(tmp_path / "secrets" / name).read_bytes() for name in names]
    for name in names:
        (tmp_path / "secrets" / name).unlink()
    prepare(tmp_path)
    files = read_all(tmp_path)
    assert [name for name, content in files.items() if any(secret in content for secret in old)] == []
    for name in names:
        assert sum(files[name] in content for content in files.values()) > 1, name


@pytest.mark.parametrize(
    ("written", "host"),
    [
        (r'"a\.b"', r"a\.b"),
        (r'"a\\b"', r"a\b"),
        (r'"a\"b" # c', 'a"b'),
        ("'a\\'b'", "a'b"),
        (r"'a\nb'", r"a\nb"),
        ('"" # none', ""),
    ],
)
def test_escapes_in_quotes_are_read_as_compose_does(tmp_path: Path, written: str, host: str) -> None:
    change_settings(tmp_path, HTTPS_PORT=written)
    prepare(tmp_path)
    connections = json.loads((tmp_path / "secrets" / "airflow_connections.json").read_text("utf-8"))
    assert connections["pushmetrics_default"]["host"].endswith(f":{host}")
    assert dotenv_values(tmp_path / ".env")["HTTPS_PORT"] == host


def test_a_changed_name_and_port_reach_connections_and_certificate(tmp_path: Path) -> None:
    prepare(tmp_path)
    first = read_all(tmp_path)
    change_settings(tmp_path, PUSHMETRICS_HOST="push.test", HTTPS_PORT="9443")
    prepare(tmp_path)
    changed = {name for name, content in read_all(tmp_path).items() if content != first[name]}
    assert changed == {"airflow_connections.json", "ca.crt", "tls.crt", "tls.key"}
    assert b'"https://push.test:9443"' in read_all(tmp_path)["airflow_connections.json"]
    command = ["openssl", "x509", "-in", "tls.crt", "-noout", "-checkhost", "push.test"]
    checked = subprocess.run(command, cwd=tmp_path / "secrets", check=True, capture_output=True, text=True)
    assert "does match" in checked.stdout


@pytest.mark.parametrize("quote", ['"', "'"])
def test_quotes_around_a_setting_are_no_part_of_it(tmp_path: Path, quote: str) -> None:
    change_settings(tmp_path, PUSHMETRICS_HOST=f"{quote}push.example.com{quote}")
    prepare(tmp_path)
    connections = json.loads((tmp_path / "secrets" / "airflow_connections.json").read_text("utf-8"))
    assert connections["pushmetrics_default"]["host"] == "https://push.example.com:8443"


@pytest.mark.parametrize("value", ["push.example.com", '"push.example.com"', "'push.example.com'"])
def test_a_comment_after_a_setting_is_no_part_of_it(tmp_path: Path, value: str) -> None:
    change_settings(tmp_path, PUSHMETRICS_HOST=f"{value}  # ours", HTTPS_PORT="9443 # not 443")
    prepare(tmp_path)
    connections = json.loads((tmp_path / "secrets" / "airflow_connections.json").read_text("utf-8"))
    assert connections["pushmetrics_default"]["host"] == "https://push.example.com:9443"


def test_a_certificate_of_ones_own_is_kept_whatever_its_names(tmp_path: Path) -> None:
    prepare(tmp_path)
    folder = tmp_path / "secrets"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=mine"]
    outputs = ["-keyout", "tls.key", "-out", "tls.crt"]
    subprocess.run([*command, *outputs], cwd=folder, check=True, capture_output=True)
    first = read_all(tmp_path)
    prepare(tmp_path)
    assert read_all(tmp_path) == first


def test_only_the_owner_may_open_the_folder_and_containers_may_read_its_files(tmp_path: Path) -> None:
    prepare(tmp_path)
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert list_modes(tmp_path) == {0o644}


def list_modes(folder: Path) -> set[int]:
    return {path.stat().st_mode & 0o777 for path in (folder / "secrets").iterdir() if path.is_file()}


def test_containers_may_read_the_secrets_that_people_put_there_too(tmp_path: Path) -> None:
    prepare(tmp_path)
    (tmp_path / "secrets" / "aws_credentials").write_text("[default]")
    (tmp_path / "secrets" / "old").mkdir(mode=0o700)
    for name in ("aws_credentials", "tls.key"):
        (tmp_path / "secrets" / name).chmod(0o600)
    prepare(tmp_path)
    assert list_modes(tmp_path) == {0o644}
    assert (tmp_path / "secrets" / "old").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("days", "is_kept"), [(20, False), (200, True)])
def test_a_certificate_of_the_own_ca_is_renewed_a_month_before_its_end(
    tmp_path: Path, days: int, is_kept: bool
) -> None:
    prepare(tmp_path)
    settings = dotenv_values(tmp_path / ".env")
    hosts = (f"DNS:{settings[name]}" for name in ("AIRFLOW_HOST", "PUSHMETRICS_HOST", "RECEIVER_HOST"))
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=PushMetrics Compose CA",
    ]
    command += ["-days", str(days), "-addext", f"subjectAltName={','.join(hosts)}"]
    outputs = ["-keyout", "tls.key", "-out", "tls.crt"]
    subprocess.run([*command, *outputs], cwd=tmp_path / "secrets", check=True, capture_output=True)
    first = read_all(tmp_path)
    prepare(tmp_path)
    assert (read_all(tmp_path) == first) is is_kept


def test_no_secret_ends_with_a_newline_that_airflow_would_take_for_a_part_of_it(tmp_path: Path) -> None:
    prepare(tmp_path)
    ends = (".crt", ".key", ".conf")
    files = {name: content for name, content in read_all(tmp_path).items() if not name.endswith(ends)}
    assert [name for name, content in files.items() if content != content.strip() or not content] == []


def test_two_preparations_share_no_secret(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    prepare(tmp_path / "a")
    prepare(tmp_path / "b")
    assert not set(read_all(tmp_path / "a").values()) & set(read_all(tmp_path / "b").values())


# --- the file -----------------------------------------------------------------------------------------------


def test_the_schema_of_compose_knows_every_field() -> None:
    check = Path(sys.executable).with_name("check-jsonschema")
    command = [str(check), "--builtin-schema", "vendor.compose-spec", "docker-compose.yaml"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_variable_of_the_file_is_explained_with_its_default() -> None:
    text = (ROOT / "docker-compose.yaml").read_text("utf-8")
    example = dotenv_values(ROOT / ".env.example")
    found = set(re.findall(r"(?<!\$)\$\{(\w+)([^}]*)\}", text))
    assert {name: default.removeprefix(":-") for name, default in found} == {
        name: value for name, value in example.items() if name != "COMPOSE_PROFILES"
    }


def test_every_lasting_service_has_a_health_check() -> None:
    assert [name for name, service in LASTING.items() if "healthcheck" not in service] == []


def test_files_that_the_file_mounts_and_the_image_copies_exist() -> None:
    volumes = [volume for service in SERVICES.values() for volume in service.get("volumes", ())]
    mounted = [volume.split(":")[0] for volume in volumes if volume.startswith("./")]
    lines = (ROOT / "docker" / "Dockerfile").read_text("utf-8").splitlines()
    copies = [line.split()[1:-1] for line in lines if line.startswith("COPY ") and "--from" not in line]
    copied = [word for words in copies for word in words]
    assert mounted
    assert copied
    assert [name for name in mounted + copied if not (ROOT / name).exists()] == []


def test_every_service_is_closed_and_limited() -> None:
    for name, service in SERVICES.items():
        assert service["init"] is service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}, name
        assert service["stop_grace_period"], name
    assert {name for name, service in SERVICES.items() if "cap_add" in service} == {"proxy"}
    assert not {name for name, service in SERVICES.items() if service.get("privileged")}


def test_only_the_proxy_may_be_open_to_other_machines() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports.keys() == {"proxy", "mail", "dev-service", "dev-airflow"}
    others = [port for name in ports.keys() - {"proxy"} for port in ports[name]]
    assert all(port.startswith("127.0.0.1:") for port in others)


def test_the_proxy_has_one_port_outside_and_in_the_network() -> None:
    """Containers reach it by the same URLs as people."""
    port = "${HTTPS_PORT:-8443}"
    assert SERVICES["proxy"]["ports"] == [f"${{BIND_ADDRESS:-127.0.0.1}}:{port}:{port}"]
    assert SERVICES["proxy"]["environment"]["HTTPS_PORT"] == port


def test_connections_that_all_come_from_the_proxy_are_not_limited() -> None:
    assert SERVICES["receiver"]["environment"]["PUSHMETRICS_RECEIVER_CONNECTIONS_PER_ADDRESS"] == "0"
    assert SERVICES["web"]["environment"]["PUSHMETRICS_SERVICE_CONNECTIONS_PER_ADDRESS"] == "0"


def test_nothing_hinders_a_second_container_of_a_service() -> None:
    for name, service in SERVICES.items():
        assert "container_name" not in service, name
        assert "hostname" not in service, name


def test_every_secret_comes_from_a_file_and_is_used() -> None:
    used = {secret for service in SERVICES.values() for secret in service.get("secrets", ())}
    assert used == set(COMPOSE["secrets"])
    for name, service in SERVICES.items():
        environment = service.get("environment", {})
        named = set(re.findall(r"/run/secrets/([\w.]+)", str(environment) + str(service.get("command"))))
        named |= set(re.findall(r"/run/secrets/([\w.]+)", str(service.get("healthcheck"))))
        assert named <= set(service.get("secrets", ())), name
        words = re.compile(
            "TOKEN|PASSWORD|SECRET_KEYS?|JWT_SECRET|FERNET|DATABASE_URL|INBOX|_CONN(_|$)|BROKER|BACKEND$"
        )
        secrets = {
            key for key in environment if words.search(key) and not key.startswith("AIRFLOW__SECRETS__")
        }
        plain = {key for key in secrets if not key.endswith(("_FILE", "_CMD"))}
        assert plain - {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"} == set(), name


def test_every_database_has_a_role_of_its_own() -> None:
    of_parts = {
        name: sorted(secret for secret in service.get("secrets", ()) if secret.endswith("_db_url"))
        for name, service in SERVICES.items()
    }
    assert of_parts["receiver"] == ["inbox_db_url"]
    assert of_parts["web"] == of_parts["worker"] == ["service_db_url"]
    assert of_parts["airflow-scheduler"] == ["airflow_db_url"]
    assert all(len(urls) <= 1 for urls in of_parts.values())


def test_databases_are_in_a_network_without_a_way_out() -> None:
    assert COMPOSE["networks"]["data"] == {"internal": True}
    assert SERVICES["postgres"]["networks"] == SERVICES["redis"]["networks"] == ["data"]
    assert "data" not in SERVICES["proxy"]["networks"]


def test_the_small_profile_has_no_more_containers_than_parts() -> None:
    small = {name for name, service in LASTING.items() if "dev" in service.get("profiles", ["dev"])}
    assert small == {"postgres", "receiver", "dev-service", "dev-airflow"}
