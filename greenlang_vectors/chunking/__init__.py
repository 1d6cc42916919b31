"""Cutting documents into chunks the model can read whole (PRD 7.3).

`chunk_document` is the way in. Its parts, lowest first: `tokens` counts as the model does,
`tokenmap` says where a document's tokens are, `boundaries` where it may be cut; `semantic` and
`fixed` plan the cuts, `measure` counts what they planned, `chunk` numbers and labels it.
"""

from greenlang_vectors.chunking.chunk import chunk_document, fingerprint
from greenlang_vectors.chunking.model import Chunk, ChunkingConfig
from greenlang_vectors.chunking.tokens import Tokenizer

__all__ = ["Chunk", "ChunkingConfig", "Tokenizer", "chunk_document", "fingerprint"]
