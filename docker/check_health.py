"""
Exit 0 if a URL answers 2xx: the health check of containers that have no curl.

    python check_health.py URL [VARIABLE]

VARIABLE names the environment variable with the Bearer token to show.
"""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request

request = urllib.request.Request(sys.argv[1])
if len(sys.argv) > 2:
    request.add_header("Authorization", f"Bearer {os.environ[sys.argv[2]]}")
try:
    urllib.request.urlopen(request, timeout=5).close()
except (urllib.error.URLError, TimeoutError) as error:
    sys.exit(f"{sys.argv[1]}: {error}")
