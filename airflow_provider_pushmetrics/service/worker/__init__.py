"""Durable execution: runs and deliveries are claimed, executed and retried."""
