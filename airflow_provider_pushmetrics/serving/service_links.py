"""Variables that Kubernetes sets for its Services, and that look like options."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, MutableMapping

WARNING = (
    "Warning: ignored {names}: Kubernetes sets such variables for a Service of that name. Set"
    " 'enableServiceLinks: false' in the pod, or give the Service another name. Options of the command line,"
    " such as --port, are not affected."
)
_LINK = re.compile(r"(?:tcp|udp|sctp)://\[?([0-9A-Za-z.:-]+?)\]?:([0-9]+)\Z")
_PORTS = ("PUSHMETRICS_RECEIVER_PORT", "PUSHMETRICS_SERVICE_PORT")
_HOST, _PORT, _LINK_OF_BOTH = "PUSHMETRICS_SERVICE_HOST", "PUSHMETRICS_SERVICE_PORT", "PUSHMETRICS_PORT"


def find_service_links(environment: Mapping[str, str]) -> list[str]:
    """
    Find the variables that look like options and come from Kubernetes.

    It sets them for each Service, here one named ``pushmetrics``, ``pushmetrics-receiver`` or
    ``pushmetrics-service``:
    https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables.

    ``PUSHMETRICS_SERVICE_HOST`` and ``PUSHMETRICS_SERVICE_PORT`` do if ``PUSHMETRICS_PORT``, which is not an
    option, contains the same host or port. Variables that a user set to another value are kept.
    """
    found = [name for name in _PORTS if _LINK.match(environment.get(name, ""))]
    link = _LINK.match(environment.get(_LINK_OF_BOTH, ""))
    if link:
        linked = {_HOST: link[1], _PORT: link[2]}
        found += [name for name, value in linked.items() if environment.get(name) == value]
    return sorted(found)


def ignore_service_links() -> None:
    """Remove them from this process's environment before options are read, with a warning."""
    warning = drop_service_links(os.environ)
    if warning:
        print(warning, file=sys.stderr)  # noqa: T201 - logging is set up after the options are read


def drop_service_links(environment: MutableMapping[str, str]) -> str | None:
    """Remove the variables from Kubernetes; return the warning, None if there are none."""
    found = find_service_links(environment)
    for name in found:
        del environment[name]
    return WARNING.format(names=" and ".join(found)) if found else None
