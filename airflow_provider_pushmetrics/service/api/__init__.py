"""The HTTP API, one module for each resource."""

from __future__ import annotations
