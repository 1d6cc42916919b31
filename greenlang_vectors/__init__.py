"""Sustainability regulation, searchable in PostgreSQL + pgvector, and provably so.

The library works without Dagster; `definitions` composes it with `assets`, `resources` and
`schedules` into a Dagster code location.
"""
