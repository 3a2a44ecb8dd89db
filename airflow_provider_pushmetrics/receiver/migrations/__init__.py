"""The inbox's migrations, run by Alembic when an inbox is opened."""

from __future__ import annotations
