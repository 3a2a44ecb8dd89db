"""How long rows and results are kept, and the deletion of older ones."""
