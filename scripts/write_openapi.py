"""Write the OpenAPI document of the service as JSON: scripts/write_openapi.py FILE. Nothing is started."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from airflow_provider_pushmetrics.service.app import create_app
from airflow_provider_pushmetrics.service.settings import ServiceSettings


def main(target: Path) -> None:
    """Write the document, as ``/openapi.json`` of a running service gives it."""
    with tempfile.TemporaryDirectory() as folder:
        document = create_app(ServiceSettings(Path(folder))).openapi()
    target.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
