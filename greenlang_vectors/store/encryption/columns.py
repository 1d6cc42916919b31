"""Which columns of which tables are sealed, and for which place.

Titles and headings are text of a document as much as its passages are. What stays readable in an
encrypted namespace is said in `administration.CONSEQUENCES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.store.encryption.cipher import Cipher, Place


class DocumentColumns(NamedTuple):
    """What the table documents holds of a document's text.

    Attributes:
        headings: [[start, level, title], …], or their sealed form.
    """

    title: str
    text: str
    headings: JSON
    metadata: dict[str, JSON]

    def sealed(self, cipher: Cipher, identity: UUID) -> DocumentColumns:
        """The columns as an encrypted namespace stores them."""
        place = Place("documents", str(identity), "title")
        return DocumentColumns(
            cipher.seal(place, self.title),
            cipher.seal(place._replace(column="text"), self.text),
            cipher.seal_json(place._replace(column="headings"), self.headings),
            cipher.seal_metadata(place._replace(column="metadata"), self.metadata),
        )

    def opened(self, cipher: Cipher, identity: UUID) -> DocumentColumns:
        """The columns in clear.

        Raises:
            SealBroken, KeyUnavailable: see `Cipher.open`.
        """
        place = Place("documents", str(identity), "title")
        return DocumentColumns(
            cipher.open(place, self.title),
            cipher.open(place._replace(column="text"), self.text),
            cipher.open_json(place._replace(column="headings"), self.headings),
            open_metadata(cipher, identity, self.metadata),
        )


class ChunkColumns(NamedTuple):
    """What the table document_chunks holds of a chunk's text.

    Attributes:
        metadata: None where it is not asked for.
    """

    content: str
    heading_path: list[str]
    metadata: dict[str, JSON] | None = None

    def sealed(self, cipher: Cipher, document: UUID, index: int) -> ChunkColumns:
        """The columns as an encrypted namespace stores them."""
        return ChunkColumns(
            cipher.seal(_content(document, index), self.content),
            cipher.seal_list(_heading_path(document, index), self.heading_path),
            None
            if self.metadata is None
            else cipher.seal_metadata(_chunk_metadata(document, index), self.metadata),
        )

    def opened(self, cipher: Cipher, document: UUID, index: int) -> ChunkColumns:
        """The columns in clear.

        Raises:
            SealBroken, KeyUnavailable: see `Cipher.open`.
        """
        return ChunkColumns(
            open_content(cipher, document, index, self.content),
            cipher.open_list(_heading_path(document, index), self.heading_path),
            None
            if self.metadata is None
            else open_chunk_metadata(cipher, document, index, self.metadata),
        )


class EmbeddingColumns(NamedTuple):
    """What the table vector_embeddings holds of a chunk's text."""

    content_preview: str | None
    metadata: dict[str, JSON] | None

    def sealed(self, cipher: Cipher, document: UUID, index: int) -> EmbeddingColumns:
        """The columns as an encrypted namespace stores them, the same for every model."""
        place = _preview(document, index)
        return EmbeddingColumns(
            None if self.content_preview is None else cipher.seal(place, self.content_preview),
            None
            if self.metadata is None
            else cipher.seal_metadata(place._replace(column="metadata"), self.metadata),
        )

    def opened(self, cipher: Cipher, document: UUID, index: int) -> EmbeddingColumns:
        """The columns in clear.

        Raises:
            SealBroken, KeyUnavailable: see `Cipher.open`.
        """
        place = _preview(document, index)
        return EmbeddingColumns(
            None if self.content_preview is None else cipher.open(place, self.content_preview),
            None
            if self.metadata is None
            else cipher.open_metadata(place._replace(column="metadata"), self.metadata),
        )


def open_title(cipher: Cipher, document: UUID, title: str) -> str:
    """A document's title in clear.

    Raises:
        SealBroken, KeyUnavailable: see `Cipher.open`.
    """
    return cipher.open(Place("documents", str(document), "title"), title)


def open_text(cipher: Cipher, document: UUID, text: str) -> str:
    """A document's text in clear.

    Raises:
        SealBroken, KeyUnavailable: see `Cipher.open`.
    """
    return cipher.open(Place("documents", str(document), "text"), text)


def open_metadata(cipher: Cipher, document: UUID, metadata: Mapping[str, JSON]) -> dict[str, JSON]:
    """A document's metadata in clear.

    Raises:
        SealBroken, KeyUnavailable: see `Cipher.open`.
    """
    return cipher.open_metadata(Place("documents", str(document), "metadata"), metadata)


def open_content(cipher: Cipher, document: UUID, index: int, content: str) -> str:
    """A chunk's content in clear.

    Raises:
        SealBroken, KeyUnavailable: see `Cipher.open`.
    """
    return cipher.open(_content(document, index), content)


def open_chunk_metadata(
    cipher: Cipher, document: UUID, index: int, metadata: Mapping[str, JSON]
) -> dict[str, JSON]:
    """A chunk's metadata in clear.

    Raises:
        SealBroken, KeyUnavailable: see `Cipher.open`.
    """
    return cipher.open_metadata(_chunk_metadata(document, index), metadata)


def _content(document: UUID, index: int) -> Place:
    return Place("document_chunks", f"{document}/{index}", "content")


def _heading_path(document: UUID, index: int) -> Place:
    return Place("document_chunks", f"{document}/{index}", "heading_path")


def _chunk_metadata(document: UUID, index: int) -> Place:
    return Place("document_chunks", f"{document}/{index}", "metadata")


def _preview(document: UUID, index: int) -> Place:
    return Place("vector_embeddings", f"{document}/{index}", "content_preview")
