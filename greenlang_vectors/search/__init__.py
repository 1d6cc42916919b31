"""Questions in, ranked passages out (PRD 8)."""
