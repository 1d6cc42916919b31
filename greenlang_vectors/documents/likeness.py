"""How alike texts are, by short signatures: MinHash over runs of four words (Broder 1997).

One permutation serves all places of a signature (Li, Owen and Zhang 2012), empty places take the
value of the next full one (Shrivastava and Li 2014). The share of equal places of two signatures
estimates the share of runs that two texts have in common, within 0.04 at 0.8.
"""

from __future__ import annotations

import re
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

PLACES = 128
RUN = 4
"""Words of a run."""
_BAND = 4
"""Places that have to agree for two texts to be compared: some band of them does for 99.9% of the
pairs that share four fifths of their runs."""

_WORD = re.compile(r"\w+")
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_EMPTY = np.iinfo(np.uint64).max

Signature = NDArray[np.uint64]


def signature(text: str) -> Signature:
    """The signature of a text, shape (128,); of one with fewer than four words, of all of them."""
    words = np.array([crc32(w.encode()) for w in _WORD.findall(text.casefold())] or [0], np.uint64)
    run = min(RUN, len(words))
    with np.errstate(over="ignore"):
        hashes = np.zeros(len(words) - run + 1, np.uint64)
        for place in range(run):
            hashes = (hashes + words[place : len(words) - run + 1 + place]) * _FACTOR
            hashes ^= hashes >> np.uint64(29)
        hashes *= _FACTOR
    smallest = np.full(PLACES, _EMPTY, np.uint64)
    np.minimum.at(smallest, (hashes >> np.uint64(57)).astype(np.intp), hashes)
    full = np.flatnonzero(smallest != _EMPTY)
    following = full[np.searchsorted(full, np.arange(PLACES)) % len(full)]
    distance = (following - np.arange(PLACES)) % PLACES
    filled: Signature = smallest[following] + distance.astype(np.uint64)
    return filled


def likeness(first: Signature, second: Signature) -> float:
    """About what share of their runs of words two texts have in common, 0 to 1."""
    return float(np.mean(first == second))


def bands(of: Signature) -> list[bytes]:
    """Keys of which texts that are alike have some in common, each with its place in the list."""
    return [of[start : start + _BAND].tobytes() for start in range(0, PLACES, _BAND)]
