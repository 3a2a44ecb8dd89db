"""Pictures of the service's pages for the documentation."""
