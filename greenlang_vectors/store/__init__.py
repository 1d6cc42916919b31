"""Everything that is kept in PostgreSQL: schema, connections, writing, indexes (PRD 6)."""
