"""HTTP to servers on this machine that may not be up yet."""

from __future__ import annotations

from typing import Any

import requests

from airflow_provider_pushmetrics.exceptions import DemoError
from airflow_provider_pushmetrics.redaction import redact

DEMO_TIMEOUT_SECONDS = 15.0


class LocalServer:
    """
    Talks to one server on the loopback interface: no proxy, no redirect, no credential in a message.

    :param name: What a person calls the server.
    :param base_url: Where it is.
    """

    def __init__(self, name: str, base_url: str) -> None:
        self.name = name
        self.base_url = base_url
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy for the outside must not see what stays on this machine

    def use_bearer(self, token: str) -> None:
        """Show this token with every request from now on."""
        self._session.headers["Authorization"] = f"Bearer {token}"

    def find(self, path: str, **query: Any) -> Any | None:
        """Get the JSON at this path; None while the server is not up, is too busy, or has nothing there."""
        try:
            answer = self._send("GET", path, params=query)
        except requests.RequestException:
            return None
        if answer.status_code == 404 or answer.status_code >= 500:
            return None
        return self._read(answer)

    def fetch(self, path: str, **query: Any) -> Any:
        """
        Get the JSON at this path.

        :raises DemoError: if there is none.
        """
        return self._read(self._try("GET", path, params=query))

    def post(self, path: str, body: object) -> Any:
        """
        Post JSON and get the JSON answered.

        :raises DemoError: if the server refuses it.
        """
        return self._read(self._try("POST", path, json=body))

    def close(self) -> None:
        self._session.close()

    def _try(self, method: str, path: str, **arguments: Any) -> requests.Response:
        try:
            return self._send(method, path, **arguments)
        except requests.RequestException as error:
            raise DemoError(f"{self.name} does not answer {method} {path}: {redact(str(error))}") from None

    def _send(self, method: str, path: str, **arguments: Any) -> requests.Response:
        return self._session.request(
            method, self.base_url + path, timeout=DEMO_TIMEOUT_SECONDS, allow_redirects=False, **arguments
        )

    def _read(self, answer: requests.Response) -> Any:
        request = answer.request
        if answer.status_code == 401:
            raise DemoError(
                f"{self.name} does not know the demo's credentials. Does another program listen at"
                f" {self.base_url}? Then stop it, or choose another port."
            )
        if not 200 <= answer.status_code < 300:
            raise DemoError(
                f"{self.name} answered {answer.status_code} to {request.method} {request.path_url}:"
                f" {redact(answer.text[:500])}"
            )
        try:
            return answer.json()
        except ValueError:
            raise DemoError(f"{self.name} answered no JSON to {request.method} {request.path_url}.") from None
