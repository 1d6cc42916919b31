"""Which passages a question of words is compared with: few enough, and the best among them.

Not every passage that holds one of many words can be ranked while somebody waits. Rare words are
looked up whole, common ones in the passages they stand out in (champion lists; Manning, Raghavan
and Schütze 2008, 7.1.3), which the index knows as words of their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MARKS = ("", *map(chr, (2, 3, 5, 8)))
"""What migration 0008 puts after a word that a passage holds 1, 2, 3, 5 or 8 times."""

MAX_TERMS = 32
"""The rarest words of a question; more are not looked up."""


@dataclass(frozen=True, slots=True)
class Term:
    """A word of the question, stemmed.

    Attributes:
        holding: how many passages hold it, and hold it with each further mark.
    """

    lexeme: str
    holding: list[int]


@dataclass(frozen=True, slots=True)
class Asked:
    """The question in one language of a namespace.

    Attributes:
        every: tsquery of all of it.
        required: tsquery of what a passage must fulfil; empty for nothing.
        lexemes, holding: its terms, the rarest first.
        chunks: how many passages are of the language.
        mean_tokens: their mean length.
    """

    language: str
    every: str
    required: str
    lexemes: list[str]
    holding: list[list[int]]
    chunks: int
    mean_tokens: float

    @property
    def terms(self) -> list[Term]:
        """The terms, the rarest first, MAX_TERMS at most."""
        return [*map(Term, self.lexemes[:MAX_TERMS], self.holding)]

    def shares(self) -> list[float]:
        """Each term's inverse document frequency, as a share of their sum."""
        weights = []
        for term in self.terms:
            holding = min(term.holding[0], self.chunks)
            weights.append(math.log1p((self.chunks - holding + 0.5) / (holding + 0.5)))
        return [weight / sum(weights) for weight in weights]

    def is_complete(self, most: int | None) -> bool:
        """Whether `candidates` leaves out no passage that holds a term."""
        return most is None or sum(term.holding[0] for term in self.terms) <= most

    def candidates(self, most: int | None) -> str:
        """A tsquery of passages that hold terms, not many more than `most`; of all for None."""
        if self.is_complete(most) or most is None:
            return " | ".join(quoted(term.lexeme) for term in self.terms)
        together = " & ".join(map(quoted, self._together(most)))
        return " | ".join([*map(quoted, self._standing_out(most)), together])

    def _standing_out(self, most: int) -> list[str]:
        """Terms that no more passages than these hold between them, the common ones marked."""
        left = most
        chosen = []
        for term in self.terms:
            for mark, holding in zip(MARKS, term.holding, strict=True):
                if holding <= left:
                    chosen.append(term.lexeme + mark)
                    left -= holding
                    break
        return chosen

    def _together(self, most: int) -> list[str]:
        """Every term, marked until about so many passages at most hold all of them.

        How many do is taken to lie halfway between words that never attract each other and words
        that always come together.
        """
        terms, marks = self.terms, [0] * len(self.terms)
        while True:
            shares = [
                min(1.0, term.holding[mark] / self.chunks)
                for term, mark in zip(terms, marks, strict=True)
            ]
            likely = math.sqrt(math.prod(shares) * min(shares)) * self.chunks
            free = [place for place, mark in enumerate(marks) if mark + 1 < len(MARKS)]
            if likely <= most or not free:
                return [term.lexeme + MARKS[mark] for term, mark in zip(terms, marks, strict=True)]
            marks[max(free, key=lambda place: shares[place])] += 1


def quoted(lexeme: str) -> str:
    """A lexeme as the text form of a tsquery has it."""
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"
