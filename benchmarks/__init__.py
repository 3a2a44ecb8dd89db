"""What ``make bench`` runs: each benchmark measures both sides in the same minutes and prints their ratio."""

from __future__ import annotations
