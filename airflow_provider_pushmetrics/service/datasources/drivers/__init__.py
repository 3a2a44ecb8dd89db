"""One module for each kind of database or driver."""
