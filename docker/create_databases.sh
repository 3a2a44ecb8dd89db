#!/bin/sh
# PostgreSQL runs this once, on an empty volume: a database for each part.
set -eu
for name in airflow service inbox; do
    psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres --command "CREATE DATABASE $name"
done
