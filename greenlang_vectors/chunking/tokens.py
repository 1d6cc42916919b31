"""Counting and locating tokens exactly as the embedding model reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from string import punctuation
from unicodedata import category

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer as HuggingFaceTokenizer

from greenlang_vectors.errors import ModelUnavailable

Spans = NDArray[np.int32]

_WINDOW = 16_384
"""Characters tokenised in one piece: an encoding takes hundreds of bytes a token."""

_WINDOWS_AT_ONCE = 16
"""Windows encoded in parallel; with `_WINDOW` this bounds what tokenising keeps in memory."""

_WORD = 200
"""Characters searched backwards for a place to end a window that holds no white space."""

_SEPARATORS = frozenset("\t\n\r" + punctuation)


class Tokenizer:
    """A model's own tokenizer, reading texts whole: neither truncated nor padded."""

    def __init__(self, definition: bytes) -> None:
        self._tokenizer = HuggingFaceTokenizer.from_buffer(definition)
        self._padding = int((self._tokenizer.padding or {}).get("pad_id", 0))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.special_tokens: int = self._tokenizer.num_special_tokens_to_add(False)
        self.fingerprint = hashlib.sha256(definition).hexdigest()

    @classmethod
    def from_directory(cls, path: Path) -> Tokenizer:
        """The tokenizer of the model kept in a folder, from its `tokenizer.json`.

        Those who ask for the same share one, since making it takes 30 ms of each write. It never
        changes, and may be used by several threads.

        Raises:
            ModelUnavailable: the file is missing or no tokenizer.
        """
        file = path / "tokenizer.json"
        try:
            return _made(file.read_bytes())
        except Exception as error:  # the library raises bare Exception and ValueError
            raise ModelUnavailable(
                f"{file} cannot be read as a tokenizer: {error}.",
                "Check that the folder holds the whole model.",
            ) from error

    def count(self, text: str) -> int:
        """Tokens the model reads for a chunk, special ones included."""
        return self.counts([text])[0]

    def counts(self, texts: Sequence[str]) -> list[int]:
        """`count` of each text, on all cores. All encodings are in memory at once."""
        return [len(encoding) for encoding in self._tokenizer.encode_batch_fast(texts)]

    def padded(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Tokens as a model takes them, and which of them are not padding.

        Args:
            texts: at least one.

        Returns:
            two arrays of shape (texts, tokens of the longest).
        """
        encodings = self._tokenizer.encode_batch_fast(texts)
        shape = len(encodings), max(map(len, encodings))
        tokens, attended = np.full(shape, self._padding, np.int64), np.zeros(shape, np.int64)
        for row, encoding in enumerate(encodings):
            tokens[row, : len(encoding)] = encoding.ids
            attended[row, : len(encoding)] = 1
        return tokens, attended

    def spans(self, text: str) -> Spans:
        """Where each token stands, special ones left out.

        Any length of text is read in bounded memory, window by window. Tokens are those of the
        whole text as long as it has white space in every `_WINDOW` characters, or punctuation in
        every `_WORD`.

        Returns:
            shape (tokens, 2): start and end as indices into `text`, in order of the text. Tokens
            out of one character (a decomposed Hangul syllable) share its span; characters that
            the model does not see (control and format characters) have none.
        """
        parts: list[Spans] = []
        windows = _windows(text)
        while batch := list(islice(windows, _WINDOWS_AT_ONCE)):
            encodings = self._tokenizer.encode_batch(
                [text[start:end] for start, end in batch], add_special_tokens=False
            )
            for (start, _), encoding in zip(batch, encodings, strict=True):
                flat = np.fromiter(
                    chain.from_iterable(encoding.offsets), np.int32, 2 * len(encoding)
                )
                parts.append(flat.reshape(-1, 2) + np.int32(start))
        return np.concatenate(parts) if parts else np.empty((0, 2), np.int32)


@lru_cache(maxsize=8)
def _made(definition: bytes) -> Tokenizer:
    return Tokenizer(definition)


def _windows(text: str) -> Iterator[tuple[int, int]]:
    """Spans that tile the text, ending where no token goes across."""
    start = 0
    while start < len(text):
        end = min(start + _WINDOW, len(text))
        if end < len(text):
            end = _safe_end(text, start, end)
        yield start, end
        start = end


def _safe_end(text: str, start: int, limit: int) -> int:
    space = max(text.rfind(" ", start + 1, limit), text.rfind("\n", start + 1, limit))
    if space > 0:
        return space
    return next((end for end in range(limit, limit - _WORD, -1) if _separates(text[end])), limit)


def _separates(character: str) -> bool:
    return character in _SEPARATORS or category(character)[0] in "PZ"
