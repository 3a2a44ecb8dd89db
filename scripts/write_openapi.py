"""Write the OpenAPI document of the service as JSON: scripts/write_openapi.py FILE. Nothing is started."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from airflow_provider_pushmetrics.service.app import create_app
from airflow_provider_pushmetrics.service.settings import ServiceSettings


def build_document() -> dict[str, Any]:
    """Build the document, as ``/openapi.json`` of a running service gives it."""
    with tempfile.TemporaryDirectory() as folder:
        return create_app(ServiceSettings(Path(folder))).openapi()


def main(target: Path) -> None:
    """Write the document to a file."""
    target.write_text(json.dumps(build_document(), indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
