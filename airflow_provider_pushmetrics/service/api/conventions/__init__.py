"""What all resources of the API have in common."""

from __future__ import annotations
