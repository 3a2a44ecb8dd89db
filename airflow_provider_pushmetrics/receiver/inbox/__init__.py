"""The durable inbox: stored events and consumers."""
