"""Jinja templates in blocks: text, and SQL whose values are bound."""
