"""What operators do with a whole service: checking and rotating its secret keys, and backups."""
