"""What a document is once it has been read: text with page numbers and heading structure.

Offsets are indices into `ExtractedDocument.text` as Python counts characters (code points).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TypeAlias

JSON: TypeAlias = "str | int | float | bool | list[JSON] | dict[str, JSON] | None"


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading and where it stands.

    Attributes:
        start: offset of the heading's first character; its text stands in the document there.
        level: depth, 1 being the outermost.
        title: the heading on one line, whitespace collapsed.
    """

    start: int
    level: int
    title: str


@dataclass(frozen=True, slots=True)
class ExtractedDocument:
    """One document's text and structure.

    Attributes:
        text: the cleaned text. Never empty, holds no NUL and no lone surrogate; paragraphs are
            separated by a blank line.
        title: what a reader would call the document.
        media_type: the type the bytes really had, e.g. "application/pdf".
        page_starts: offset at which each page begins, ascending; the first is 0. Empty where the
            medium has no pages. A page without text starts where its successor does.
        headings: in order of `start`.
        metadata: further facts found in the file (author, language, …).
    """

    text: str
    title: str
    media_type: str
    page_starts: tuple[int, ...] = ()
    headings: tuple[Heading, ...] = ()
    metadata: dict[str, JSON] = field(default_factory=dict)

    def page_at(self, offset: int) -> int | None:
        """The 1-based number of the page that holds the character at `offset`."""
        return bisect_right(self.page_starts, offset) if self.page_starts else None

    def heading_path_at(self, offset: int) -> tuple[str, ...]:
        """Titles of the headings in force at `offset`, outermost first."""
        index = bisect_right(self.headings, offset, key=lambda heading: heading.start)
        return self.heading_paths()[index - 1] if index else ()

    def heading_paths(self) -> list[tuple[str, ...]]:
        """For each heading its path: the titles from the outermost heading down to itself."""
        paths = []
        path: list[Heading] = []
        for heading in self.headings:
            while path and path[-1].level >= heading.level:
                path.pop()
            path.append(heading)
            paths.append(tuple(heading.title for heading in path))
        return paths
