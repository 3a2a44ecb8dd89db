"""Users, workspaces, roles and their credentials."""
