"""Footnotes: each right after the paragraph that calls it, `[1]` in the text and before the note.

Brackets, because laws number recitals and points in parentheses. On web pages a call and its note
are anchors that lead to one another; on pages of print they are known by number and place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from greenlang_vectors.documents.blocks import Block

_OPEN, _CLOSE = "\ue010", "\ue011"
_ANCHOR = re.compile(rf"{_OPEN}(\d+)\ue012([^{_OPEN}{_CLOSE}]*){_CLOSE}")
_MARKS = re.compile("\ue010\\d*\ue012|[\ue010-\ue013]")
_CALLED = re.compile(r"[\s([]*(?P<mark>\d{1,4}|[*†‡§]{1,3}|[a-z])[\s)\].]*")
_BEFORE, _AFTER = re.compile(r"[^\S\n]*\(?[^\S\n]*$"), re.compile(r"[^\S\n]*\)?[^\S\n]*")
RAISED = "\ue013"
"""Stands in the text of print before a raised number."""
_PRINTED_NOTE = re.compile(r"(?:\((?P<enclosed>\d{1,3})\) |(?P<number>\d{1,3}) ?(?=[^\W\d]))")
_CALLS = (rf" ?\({RAISED}N\)", r"(?<=[\w’”)»%.,;] )\(N\)")
"""Calls of a note N in parentheses, the surer first."""
_RAISED_CALLS = (rf"(?<=\S) ?{RAISED}N(?!\d)", r"(?<=[^\W\d_A-Z]{3})N(?!\w)")
"""Calls of a note N without: raised, or right behind a word, as PDFium runs some on."""
_NOT_BEFORE_CALL = re.compile(
    r"\b(?:points?|paragraphs?|subparagraphs?|recitals?|items?|and|or|to|in|of|Article \w+) ?$",
    re.IGNORECASE,
)


def moved(blocks: Sequence[Block], homes: Mapping[int, int]) -> list[Block]:
    """The blocks, each note behind the block that calls it and the notes this calls before.

    Args:
        homes: place of the calling block by place of the note.
    """
    notes: dict[int, list[Block]] = {}
    for note, home in sorted(homes.items()):
        notes.setdefault(home, []).append(blocks[note])
    result: list[Block] = []
    for place, block in enumerate(blocks):
        if place not in homes:
            result += [block, *notes.get(place, [])]
    return result


@dataclass(frozen=True, slots=True)
class _Found:
    """An anchor where it stands.

    Attributes:
        block: place of its block.
        own, target: its name, and that of the anchor it leads to.
        first: nothing but signs stands before it.
    """

    block: int
    own: str
    target: str
    first: bool


class Anchors:
    """The anchors of a web page that lead to other places of it.

    While the page is walked they stand in the text between private characters, because what
    surrounds them is still to be cleaned and put together.
    """

    def __init__(self) -> None:
        self._names: list[tuple[str, str]] = []

    def opening(self, own: str, target: str) -> str:
        """What stands in the text where an anchor begins."""
        self._names.append((own, target))
        return f"{_OPEN}{len(self._names) - 1}\ue012"

    closing = _CLOSE

    def attached(self, blocks: Sequence[Block]) -> list[Block]:
        """The blocks without private characters, notes behind the blocks that call them."""
        if not self._names:
            return list(blocks)
        found = {anchor.own: anchor for anchor in self._found(blocks)}
        homes: dict[int, int] = {}
        for call in found.values():
            note = found.get(call.target)
            if note and note.target == call.own and note.first and call.block < note.block:
                homes[note.block] = call.block
        paired = {
            anchor.own
            for anchor in found.values()
            if (other := found.get(anchor.target)) is not None
            and other.target == anchor.own
            and (homes.get(anchor.block) == other.block or homes.get(other.block) == anchor.block)
        }
        for block in blocks:
            if _OPEN in block.text:
                block.text = self._shown(block.text, paired)
                block.title = _MARKS.sub("", block.title)
        return moved(blocks, homes)

    def _found(self, blocks: Sequence[Block]) -> Iterable[_Found]:
        for place, block in enumerate(blocks):
            for match in _ANCHOR.finditer(block.text):
                if _CALLED.fullmatch(match[2]):
                    first = not any(char.isalnum() for char in block.text[: match.start()])
                    yield _Found(place, *self._names[int(match[1])], first)

    def _shown(self, text: str, paired: set[str]) -> str:
        shown = ""
        end = 0
        for match in _ANCHOR.finditer(text):
            before = text[end : match.start()]
            called = _CALLED.fullmatch(match[2])
            if called and self._names[int(match[1])][0] in paired:
                before = _BEFORE.sub("", before)
                after = _AFTER.match(text, match.end())
                end = match.end() if "(" in match[2] or after is None else after.end()
                space = " " if shown + before else ""
                following = text[end : end + 1]
                shown += f"{before}{space}[{called['mark']}]"
                shown += " " if following.isalnum() or following in "‘“(\ue010" else ""
            else:
                shown += before + match[2]
                end = match.end()
        return _MARKS.sub("", shown + text[end:]).strip()


def without_private(text: str) -> str:
    """Text in which the private characters stand for nothing but anchors."""
    return _MARKS.sub("", text)


@dataclass(frozen=True, slots=True)
class Printed:
    """Where a block stands in print: the numbers of its first and last page, and its size.

    Attributes:
        small: it stands at the foot of a page in smaller letters than the text.
    """

    first: int
    last: int
    small: bool


def attach_printed(blocks: list[Block], places: Sequence[Printed]) -> list[Block]:
    """The blocks of print, notes behind the blocks of their page that call them.

    A note is called by its number, raised or in parentheses, later than the note before it; one
    that is not found to be called, or with which a page begins, stays at the foot of its page.

    Args:
        places: of each block.
    """
    on_page: dict[int, list[int]] = {}
    for index, place in enumerate(places):
        if not place.small:
            for page in range(place.first, place.last + 1):
                on_page.setdefault(page, []).append(index)
    homes: dict[int, int] = {}
    reached = 0, 0
    for index, place in enumerate(places):
        note = _PRINTED_NOTE.match(blocks[index].text) if place.small else None
        if note is None or blocks[index].page_starts:
            continue
        number = note["enclosed"] or note["number"]
        marks = _CALLS if note["enclosed"] else _RAISED_CALLS
        candidates = on_page.get(place.first, ())
        found = (_call(blocks, candidates, m.replace("N", number), reached) for m in marks)
        call = next(filter(None, found), None)
        if call is None:
            continue
        home, start, end = call
        text = blocks[home].text
        before = text[:start].rstrip()
        blocks[home].text = f"{before} [{number}]{text[end:]}"
        blocks[index].text = f"[{number}] {blocks[index].text[note.end() :]}"
        homes[index] = home
        reached = home, len(before)
    for block in blocks:
        if RAISED in block.text:
            block.text = block.text.replace(RAISED, "")
    return moved(blocks, homes)


def _call(
    blocks: Sequence[Block], candidates: Iterable[int], mark: str, reached: tuple[int, int]
) -> tuple[int, int, int] | None:
    """The block, and the place in it, where a note is called by this mark."""
    for index in candidates:
        if index < reached[0]:
            continue
        text = blocks[index].text
        for match in re.compile(mark).finditer(text, reached[1] if index == reached[0] else 0):
            if not _NOT_BEFORE_CALL.search(text[max(0, match.start() - 20) : match.start()]):
                return index, match.start(), match.end()
    return None
