"""
Files of DuckDB, and folders of CSV and Parquet files.

DuckDB runs in child processes: some of its functions can be neither limited nor interrupted from inside.
``source``, ``catalog`` and ``pool`` are for the service; ``child``, ``databases`` and ``queries`` run in the
children; a ``call`` is what a child is asked.
"""
