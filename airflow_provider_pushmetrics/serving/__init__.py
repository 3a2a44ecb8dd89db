"""What the receiver and the service have in common as HTTP servers."""
