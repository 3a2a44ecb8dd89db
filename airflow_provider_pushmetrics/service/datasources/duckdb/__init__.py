"""
Files of DuckDB, and folders of CSV and Parquet files.

DuckDB runs in child processes: some of its functions can be neither limited nor interrupted from inside.
``source``, ``catalog`` and ``pool`` run in the service; ``child``, ``databases`` and ``queries`` run in the
children. A ``call`` is a request to a child.
"""
