"""The main job in a real Airflow, on one machine: ``make demo``."""

from __future__ import annotations
