"""The main job in a real Airflow, on one machine: ``make demo``. It runs from a checkout only."""

from __future__ import annotations
