"""Signatures tell how much two texts have in common."""

from __future__ import annotations

import random

import numpy as np
import pytest

from greenlang_vectors.documents.likeness import RUN, bands, likeness, signature


def words(seed: int, count: int) -> list[str]:
    chosen = random.Random(seed)
    return [f"word{chosen.randrange(5000)}" for _ in range(count)]


def in_common(first: str, second: str) -> float:
    """The share, counted."""
    runs = [
        {tuple(words[i : i + RUN]) for i in range(len(words) - RUN + 1)}
        for words in (first.split(), second.split())
    ]
    return len(runs[0] & runs[1]) / len(runs[0] | runs[1])


@pytest.mark.parametrize("length", [60, 400, 2000])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
def test_the_estimate_is_near_the_count(length: int, share: float) -> None:
    errors = []
    for seed in range(12):
        first = words(seed, length)
        changed = list(first)
        for place in range(0, length, max(1, int(1 / share))):
            changed[place] = "other"
        one, two = " ".join(first), " ".join(changed)
        errors.append(likeness(signature(one), signature(two)) - in_common(one, two))
    assert abs(np.mean(errors)) < 0.03
    assert np.std(errors) < 0.08


def test_equal_words_are_alike_and_others_are_not() -> None:
    text = " ".join(words(1, 300))
    assert likeness(signature(text), signature(text.upper().replace(" ", ",\n"))) == 1
    assert likeness(signature(text), signature(" ".join(words(2, 300)))) < 0.05
    assert likeness(signature("One."), signature("one")) == 1
    assert likeness(signature(""), signature("one two")) == 0


def test_texts_that_are_alike_share_a_band() -> None:
    for seed in range(20):
        first = words(seed, 500)
        second = [word for i, word in enumerate(first) if i % 60]
        one, two = (set(enumerate(bands(signature(" ".join(each))))) for each in (first, second))
        assert one & two
        assert not one & set(enumerate(bands(signature(" ".join(words(seed + 1000, 500))))))
