"""The tab "PushMetrics" of a task instance in Airflow's interface (Airflow 3.1 and later)."""
