"""Long polls: readers wait for events that match."""
