"""The commands that work with Airflow: Dags of reports, and the state of an installation."""
