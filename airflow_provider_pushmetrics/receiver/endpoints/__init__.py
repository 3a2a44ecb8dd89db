"""The HTTP endpoints: one for webhooks, and those for readers."""
