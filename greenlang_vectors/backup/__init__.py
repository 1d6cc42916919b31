"""Backups and their proof: exports, restores, drills, Aurora snapshots, retention (PRD 12)."""
