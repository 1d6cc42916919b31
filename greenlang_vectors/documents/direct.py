"""A document as an application writes it itself: passages instead of a file (PRD 7.2)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.errors import UsageError

SEPARATOR = "\n\n"
"""Stands between the passages where they are read as one text."""

MAX_SOURCE_TYPE = 50


@dataclass(frozen=True, slots=True)
class DirectDocument:
    """A document as it is written and read back.

    Attributes:
        key: names it among those of its source type (PRD 7.2 `source_id`).
        texts: its passages, in order; each is embedded as it is.
        metadata: of each of its embeddings, for filters.
        title: None for the key.
    """

    key: str
    texts: Sequence[str]
    metadata: Mapping[str, JSON] = field(default_factory=dict)
    title: str | None = None
    source_type: str = "document"

    @property
    def content(self) -> str:
        """The passages as one text."""
        return SEPARATOR.join(self.texts)

    @property
    def version(self) -> str:
        """SHA-256 of everything it says, in hex."""
        said = json.dumps([self.title, list(self.texts), dict(self.metadata)], sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()

    def cleaned(self) -> DirectDocument:
        """The same without NUL characters, which PostgreSQL cannot hold.

        Raises:
            UsageError: it has no text, a passage is empty, its metadata is not JSON, or it holds
                what cannot be encoded.
        """
        texts = [text.replace("\x00", "") for text in self.texts]
        if not texts or not all(text.strip() for text in texts):
            raise UsageError("There is nothing to store: no texts, or an empty one.")
        if not self.key or not 0 < len(self.source_type) <= MAX_SOURCE_TYPE:
            raise UsageError(
                f"A document needs a key and a source type of at most {MAX_SOURCE_TYPE} characters."
            )
        try:
            metadata = json.dumps(self.metadata, allow_nan=False, ensure_ascii=False)
            "".join([self.key, self.source_type, self.title or "", metadata, *texts]).encode()
        except (TypeError, ValueError) as error:
            raise UsageError(f"The document {self.key!r} cannot be stored: {error}.") from error
        if any("\x00" in name for name in (self.key, self.source_type)) or "\\u0000" in metadata:
            raise UsageError(f"The document {self.key!r} cannot be stored: it holds NUL.")
        title = None if self.title is None else self.title.replace("\x00", "")
        return replace(self, texts=texts, title=title, metadata=json.loads(metadata))
