"""The web interface: pages that use the service's API, and the sessions of their users."""
