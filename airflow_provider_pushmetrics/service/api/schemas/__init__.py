"""The schemas of requests and answers, one module for each resource."""

from __future__ import annotations
