"""Proof that what is stored is complete, intact and accurately searchable."""
