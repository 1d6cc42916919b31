"""Dagster resources: thin, typed, each builds one object of the library."""
