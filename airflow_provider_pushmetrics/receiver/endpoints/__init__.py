"""The HTTP endpoints: one that takes webhooks, and those that readers call."""
