"""What a question of words says: the websearch syntax, taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass

from greenlang_vectors.errors import UsageError

MAX_CHARACTERS = 10_000

_TOKEN = re.compile(r'(?P<not>-*)"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+)')


@dataclass(frozen=True, slots=True)
class Words:
    """A question in the syntax of PostgreSQL's websearch_to_tsquery, which never refuses a text.

    Attributes:
        every: all of it.
        required: what a passage must fulfil: quoted phrases and exclusions; all of it where
            these are joined by `or`, or where OR is in capitals, as no prose has it.
        wanted: the words that were not excluded.
    """

    every: str
    required: str
    wanted: str


def read(query: str) -> Words:
    """Take a question apart.

    A dash between spaces is a dash: only one before a word or a quote excludes.

    Raises:
        UsageError: it is longer than 10,000 characters.
    """
    if len(query) > MAX_CHARACTERS:
        raise UsageError(
            f"The question has {len(query)} characters; {MAX_CHARACTERS} may be searched for."
        )
    text = query.encode("utf-8", "ignore").decode().replace("\x00", " ")
    every: list[str] = []
    required: list[str] = []
    wanted: list[str] = []
    ors: set[str] = set()
    for token in _TOKEN.finditer(text):
        word = token["word"]
        if word is None:
            part, excluded = f'"{token["phrase"]}"', bool(token["not"])
        else:
            part = word.lstrip("-")
            excluded = part != word
        if not part.strip('"'):
            continue
        if excluded:
            part = f"-{part}"
        if excluded or word is None:
            required.append(part)
        elif part.lower() == "or":
            ors.add(part)
        if not excluded and part not in ors:
            wanted.append(part.strip('"'))
        every.append(part)
    strict = bool(ors) and (bool(required) or "OR" in ors)
    return Words(" ".join(every), " ".join(every if strict else required), " ".join(wanted))
