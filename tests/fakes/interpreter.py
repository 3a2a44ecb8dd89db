"""The Python that runs the service and the receiver; this one, unless its Airflow is too old for them."""

from __future__ import annotations

import os
import sys

SERVER_PYTHON = os.environ.get("PUSHMETRICS_TEST_SERVER_PYTHON", sys.executable)
