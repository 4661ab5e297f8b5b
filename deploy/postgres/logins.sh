#!/bin/sh
# Run once, by the Postgres image, on an empty data folder: one login for each process, with no more than it needs.
# The roles stoa_app and stoa_control are what row-level security speaks of; the controller's migrations give them their rights.
set -eu
: "${CONTROLLER_DB_PASSWORD:?}" "${GATEWAY_DB_PASSWORD:?}" "${BILLING_DB_PASSWORD:?}" "${KEYCLOAK_DB_PASSWORD:?}"
psql -X -q -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
  -v controller="$CONTROLLER_DB_PASSWORD" -v gateway="$GATEWAY_DB_PASSWORD" -v billing="$BILLING_DB_PASSWORD" -v keycloak="$KEYCLOAK_DB_PASSWORD" <<'SQL'
CREATE ROLE stoa_app NOLOGIN NOSUPERUSER NOBYPASSRLS;
CREATE ROLE stoa_control NOLOGIN NOSUPERUSER NOBYPASSRLS;
CREATE ROLE stoa_controller LOGIN PASSWORD :'controller' IN ROLE stoa_app, stoa_control;
CREATE ROLE stoa_gateway LOGIN PASSWORD :'gateway' IN ROLE stoa_app, stoa_control;
CREATE ROLE stoa_billing LOGIN PASSWORD :'billing' IN ROLE stoa_app, stoa_control;
CREATE ROLE keycloak LOGIN PASSWORD :'keycloak';
CREATE DATABASE stoa OWNER stoa_controller;
CREATE DATABASE keycloak OWNER keycloak;
REVOKE ALL ON DATABASE stoa FROM PUBLIC;
REVOKE ALL ON DATABASE keycloak FROM PUBLIC;
GRANT CONNECT ON DATABASE stoa TO stoa_gateway, stoa_billing;
SQL
