"""The processes: the web server, the workers and their supervisor."""
