#!/bin/sh
# PostgreSQL runs this once, on an empty volume: a database for each part, and a role that can use no other.
set -eu
for name in airflow inbox service; do
    # The password comes from its file: a list of processes shows arguments.
    psql --set ON_ERROR_STOP=1 --quiet --username "${POSTGRES_USER:-postgres}" --dbname postgres <<SQL
\set password \`cat /run/secrets/${name}_db_password\`
CREATE ROLE $name LOGIN PASSWORD :'password';
CREATE DATABASE $name OWNER $name;
REVOKE CONNECT, TEMPORARY ON DATABASE $name FROM PUBLIC;
SQL
done
psql --set ON_ERROR_STOP=1 --quiet --username "${POSTGRES_USER:-postgres}" --dbname postgres <<SQL
REVOKE CONNECT, TEMPORARY ON DATABASE postgres FROM PUBLIC;
SQL
