"""Outgoing HTTP: which addresses may be called, and for how long."""
