"""The state of an installation: versions, configuration, connection, event filters, scheduler, events."""
