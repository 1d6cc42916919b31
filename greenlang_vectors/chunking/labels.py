"""What is noted with each chunk: pages, headings, and the provisions of an act it holds."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from greenlang_vectors.chunking.measure import Passage
from greenlang_vectors.chunking.model import Chunk
from greenlang_vectors.documents.model import JSON, ExtractedDocument
from greenlang_vectors.documents.provisions import Provision


class Labels:
    """Makes chunks of a document's passages."""

    def __init__(self, document: ExtractedDocument, provisions: Sequence[Provision]) -> None:
        self._document = document
        self._provisions = provisions
        self._heading_starts = [heading.start for heading in document.headings]
        self._heading_paths = [(), *document.heading_paths()]

    def __call__(
        self, index: int, passage: Passage, level: int = 0, parent_index: int | None = None
    ) -> Chunk:
        """The chunk of a passage."""
        start, end, tokens = passage
        return Chunk(
            index=index,
            start=start,
            end=end,
            content=self._document.text[start:end],
            token_count=tokens,
            page_start=self._document.page_at(start),
            page_end=self._document.page_at(end - 1),
            heading_path=self._heading_paths[bisect_right(self._heading_starts, start)],
            level=level,
            parent_index=parent_index,
            metadata=self._metadata(start, end),
        )

    def _metadata(self, start: int, end: int) -> dict[str, JSON]:
        """`celex`, `annex`, `article`, `paragraph` and `recital`: of several the first.

        `paragraphs` and `recitals` list all of which the passage holds a part.
        """
        metadata: dict[str, JSON] = {}
        if celex := self._document.metadata.get("celex"):
            metadata["celex"] = celex
        first = bisect_right(self._provisions, start, key=lambda each: each.start) - 1
        last = bisect_left(self._provisions, end, key=lambda each: each.start)
        held = self._provisions[max(first, 0) : last]
        for name in ("annex", "article", "paragraph", "recital"):
            numbers = dict.fromkeys(number for each in held if (number := getattr(each, name)))
            if numbers:
                metadata[name] = next(iter(numbers))
                if name in ("paragraph", "recital"):
                    metadata[f"{name}s"] = list(numbers)
        return metadata
