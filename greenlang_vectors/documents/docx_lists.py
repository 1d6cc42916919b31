"""The marks of list items in a Word document, which the file only describes."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_DEEPEST = 9
_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"),
    (50, "l"), (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip

_Level = tuple[str, str, int]
"""Format of the number, text around it ("%1."), first number."""


class Lists:
    """Counts the items of every list as Word does.

    Args:
        numbering: the root of word/numbering.xml.
    """

    def __init__(self, numbering: Element) -> None:
        abstract = {
            each.get(f"{W}abstractNumId"): _levels(each)
            for each in numbering.iter(f"{W}abstractNum")
        }
        self._lists: dict[str, dict[int, _Level]] = {}
        for each in numbering.iter(f"{W}num"):
            identity = each.get(f"{W}numId") or ""
            reference = each.find(f"{W}abstractNumId")
            key = None if reference is None else reference.get(f"{W}val")
            self._lists[identity] = abstract.get(key, {})
        self._counts: dict[str, list[int]] = defaultdict(lambda: [0] * _DEEPEST)

    def mark(self, properties: Element | None) -> str:
        """The mark of the next item; "" for a paragraph that is none.

        Args:
            properties: of the paragraph (w:pPr).
        """
        found = None if properties is None else properties.find(f"{W}numPr")
        if found is None:
            return ""
        identity, level = _attribute(found, "numId"), _attribute(found, "ilvl")
        depth = int(level) if level.isdigit() and int(level) < _DEEPEST else 0
        if depth not in (levels := self._lists.get(identity, {})):
            return ""
        counts = self._counts[identity]
        kind, pattern, first = levels[depth]
        counts[depth] = counts[depth] + 1 if counts[depth] else first
        counts[depth + 1 :] = [0] * (_DEEPEST - depth - 1)
        if kind in ("bullet", "none"):
            return "-" if kind == "bullet" else ""
        for place in range(depth + 1):
            shown = _shown(max(counts[place], 1), levels.get(place, levels[depth])[0])
            pattern = pattern.replace(f"%{place + 1}", shown)
        return pattern


def _levels(abstract: Element) -> dict[int, _Level]:
    levels: dict[int, _Level] = {}
    for level in abstract.iter(f"{W}lvl"):
        depth, first = level.get(f"{W}ilvl") or "0", _attribute(level, "start")
        if depth.isdigit():
            levels[int(depth)] = (
                _attribute(level, "numFmt") or "decimal",
                _attribute(level, "lvlText"),
                int(first) if first.isdigit() else 1,
            )
    return levels


def _attribute(parent: Element, name: str) -> str:
    found = parent.find(f"{W}{name}")
    return "" if found is None else found.get(f"{W}val") or ""


def _shown(number: int, kind: str) -> str:
    if kind in ("lowerLetter", "upperLetter"):
        letter = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)
        return letter.upper() if kind == "upperLetter" else letter
    if kind in ("lowerRoman", "upperRoman"):
        roman = ""
        for value, digits in _ROMAN:
            roman += digits * (number // value)
            number %= value
        return roman.upper() if kind == "upperRoman" else roman
    return str(number)
