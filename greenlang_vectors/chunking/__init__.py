"""Cutting documents into chunks the model can read whole (PRD 7.3)."""
