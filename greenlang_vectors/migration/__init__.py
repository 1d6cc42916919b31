"""Leaving Weaviate in four phases (PRD 13): parallel operation, backfill, traffic, decommission."""
