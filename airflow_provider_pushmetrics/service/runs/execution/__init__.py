"""The execution of one run, block by block."""
