"""What a server does with any HTTP request: its connections, limits, headers and access log."""
