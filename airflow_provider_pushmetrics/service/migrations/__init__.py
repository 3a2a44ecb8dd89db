"""The history of the service's schema."""

from __future__ import annotations
