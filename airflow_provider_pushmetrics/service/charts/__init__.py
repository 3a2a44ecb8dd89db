"""Charts: Vega-Lite specifications, and pictures of them."""
