"""Outgoing events: recorded, delivered to subscriptions and retried."""
