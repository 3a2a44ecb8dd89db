"""Shared code of the receiver and the service as HTTP servers."""
