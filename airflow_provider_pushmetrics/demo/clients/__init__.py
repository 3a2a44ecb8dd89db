"""HTTP clients of the demo."""
