"""The ports of the demo: two configurable ones, and free ones for the rest."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_pushmetrics.exceptions import DemoError

HOST = "127.0.0.1"


@dataclass(frozen=True)
class PortSetting:
    """
    A configurable port.

    :param variable: The environment variable, and make variable, that sets it.
    :param default: The default port.
    :param user: The server that listens there.
    """

    variable: str
    default: int
    user: str

    def read(self, environ: Mapping[str, str]) -> int:
        """
        Read the port from the environment.

        :raises DemoError: if the value is not a port.
        """
        text = environ.get(self.variable, "").strip()
        if not text:
            return self.default
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 65535):
            raise DemoError(f"{self.variable}={text!r} is not a port: set a number from 1 to 65535.")
        return int(text)

    def require_free(self, port: int) -> int:
        """
        Check that the port is free.

        :raises DemoError: if it is not, with the port and the variable that changes it.
        """
        if not is_port_free(port):
            raise DemoError(
                f"port {port} of {HOST} is in use, and {self.user} needs it. Stop the server there, or"
                f" choose another port: make demo {self.variable}={find_free_ports(1)[0]}"
            )
        return port


SERVICE_PORT = PortSetting("PUSHMETRICS_DEMO_SERVICE_PORT", 8090, "the PushMetrics service")
AIRFLOW_PORT = PortSetting("PUSHMETRICS_DEMO_AIRFLOW_PORT", 8080, "Airflow")


@dataclass(frozen=True)
class DemoPorts:
    """
    Every port that the demo listens on.

    :param service: The reference service.
    :param airflow: Airflow's API server, which serves the receiver too.
    :param worker_logs: Where Airflow's scheduler serves task logs.
    :param triggerer_logs: Where Airflow's triggerer serves them.
    """

    service: int
    airflow: int
    worker_logs: int
    triggerer_logs: int

    @property
    def service_url(self) -> str:
        """The base URL of the reference service."""
        return f"http://{HOST}:{self.service}"

    @property
    def airflow_url(self) -> str:
        """The base URL of Airflow."""
        return f"http://{HOST}:{self.airflow}"


def choose_ports(environ: Mapping[str, str]) -> DemoPorts:
    """
    Read the configured ports, and find free ones for the rest.

    :raises DemoError: if a port is in use, is invalid, or both are the same.
    """
    service, airflow = (setting.read(environ) for setting in (SERVICE_PORT, AIRFLOW_PORT))
    if service == airflow:
        raise DemoError(
            f"{SERVICE_PORT.variable} and {AIRFLOW_PORT.variable} are both {service}: set different ports."
        )
    SERVICE_PORT.require_free(service)
    AIRFLOW_PORT.require_free(airflow)
    worker_logs, triggerer_logs = find_free_ports(2, besides=(service, airflow))
    return DemoPorts(service, airflow, worker_logs, triggerer_logs)


def find_free_port_set() -> DemoPorts:
    """Find free ports for all servers."""
    return DemoPorts(*find_free_ports(4))


def is_port_free(port: int) -> bool:
    """Return whether a server could listen on this port of the loopback interface, and on all interfaces."""
    return all(_can_bind(host, port) for host in (HOST, ""))


def find_free_ports(count: int, besides: tuple[int, ...] = ()) -> list[int]:
    """Find free ports: all different, and none of those given."""
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < count:
            listener = held.enter_context(socket.socket())
            listener.bind(("", 0))
            port = listener.getsockname()[1]
            if port not in besides:
                found.append(port)
    return found


def _can_bind(host: str, port: int) -> bool:
    with socket.socket() as listener:
        # Servers set this too: a port whose last connections only linger (TIME_WAIT) is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            return False
    return True
