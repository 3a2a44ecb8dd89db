"""What every test needs before it imports anything."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

# Airflow makes its home folder when it is imported, and reads the settings of whoever runs the tests.
for _name in [
    name
    for name in os.environ
    if name.startswith(("AIRFLOW_", "PUSHMETRICS_SERVICE_", "PUSHMETRICS_RECEIVER_"))
]:
    del os.environ[_name]
_home = tempfile.mkdtemp(prefix="pushmetrics-tests-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = _home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"
