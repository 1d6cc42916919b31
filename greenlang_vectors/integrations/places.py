"""What vector store libraries are shown of a passage that they did not add: its text and place."""

from __future__ import annotations

from typing import Any

from greenlang_vectors.search.model import SearchResult


def text_of(found: SearchResult) -> str:
    """The passage, or what it stands in where the search asked for parents."""
    return found.content if found.parent is None else found.parent.content


def place_of(found: SearchResult) -> dict[str, Any]:
    """Where the text stands; with a parent, `passages` says where in it those found do."""
    shown = found.parent or found
    place: dict[str, Any] = {
        "source": found.document,
        "title": found.title,
        "page": shown.page,
        "heading_path": shown.heading_path,
    }
    if found.parent is not None:
        place["start"], place["end"] = found.parent.start, found.parent.end
        place["passages"] = [
            {
                "chunk_index": each.chunk_index,
                "page": each.page,
                "start": each.start,
                "end": each.end,
                "score": each.score,
            }
            for each in found.parent.children
        ]
    return place
