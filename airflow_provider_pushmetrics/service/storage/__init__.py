"""The database and what every table needs: ids, clock, encryption."""
