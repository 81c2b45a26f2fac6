"""Postgres: the repositories and the schema, on a real server."""
