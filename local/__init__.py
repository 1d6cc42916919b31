"""The one-machine default: `make run`, `make ui` and their Dagster instance."""
