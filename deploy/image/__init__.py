"""The container images: the service's own, and PgBouncer's."""
