"""The receiver: accepts webhooks, stores them in a durable inbox, and serves them to readers."""

from __future__ import annotations
