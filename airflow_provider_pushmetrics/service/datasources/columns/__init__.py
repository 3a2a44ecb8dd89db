"""Lossless conversion of the columns of each database to Arrow."""
