"""The HTTP API: search, embedding, uploads and deletions over one database (see docs/api.md).

Importing it loads no model: weights are read when the first text is to be embedded.
"""
