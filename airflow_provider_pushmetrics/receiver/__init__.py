"""The receiver: takes webhooks, keeps them in a durable inbox, and feeds them to whoever waits."""

from __future__ import annotations
