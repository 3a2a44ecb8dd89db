"""The web interface: pages of this package that use the service's API, and the sessions of their users."""
