"""Encryption of columns (PRD 10.2): ciphers, data keys, key providers, rotation."""
