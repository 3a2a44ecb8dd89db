"""
Exit 0 if a URL answers 2xx: the health check of containers that have no curl.

    python check_health.py URL
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request

try:
    urllib.request.urlopen(sys.argv[1], timeout=5).close()  # noqa: S310 (the URL is in the health check's own command)
except (urllib.error.URLError, TimeoutError) as error:
    sys.exit(f"{sys.argv[1]}: {error}")
