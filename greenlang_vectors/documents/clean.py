"""Cleaning: what every extractor does to text before offsets are counted.

Characters a reader cannot see, or PostgreSQL cannot store, go; everything that carries meaning
stays: typographic quotes and dashes, joiners, and the marks that steer right-to-left text.
"""

from __future__ import annotations

import re
import unicodedata

_LINE_END = re.compile("\r\n|[\r\v\x1c-\x1e\x85\u2028]")
_PARAGRAPH_END = re.compile("[\f\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
# Controls, soft hyphen, zero-width space and word joiner, byte-order mark, noncharacters.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u200b\u2060\ufdd0-\ufdef\ufeff\ufff9-\ufffb\ufffe\uffff]"
)
_BLANKS = re.compile(r"[^\S\n ][^\S\n]*| [^\S\n]+")
_AROUND_LINE_END = re.compile(" \n ?|\n ")
_MANY_LINE_ENDS = re.compile("\n{3,}")


def normalise_line_ends(text: str) -> str:
    """`text` with every kind of line end as a newline; paragraph ends and form feeds as two."""
    return _PARAGRAPH_END.sub("\n\n", _LINE_END.sub("\n", text))


def clean(text: str) -> str:
    """The text as it is stored; idempotent, and possibly empty.

    Control and invisible characters are removed, lone surrogates become U+FFFD, line ends become
    newlines, every run of blanks within a line (no-break spaces included) one space, more than
    one empty line exactly one. The result is in Unicode NFC, so that the same word always has
    the same bytes; compatibility characters (ligatures, superscripts) stay as written.
    """
    if text.isprintable() and "  " not in text and unicodedata.is_normalized("NFC", text):
        return text.strip()  # Nothing else to do, as with most lines of print.
    text = _INVISIBLE.sub("", normalise_line_ends(text))
    text = unicodedata.normalize("NFC", _SURROGATE.sub("\ufffd", text))
    text = _AROUND_LINE_END.sub("\n", _BLANKS.sub(" ", text))
    return _MANY_LINE_ENDS.sub("\n\n", text).strip()


def one_line(text: str) -> str:
    """`text` with every run of whitespace as one space."""
    return " ".join(text.split())


def shorten(text: str, limit: int = 200) -> str:
    """`text` on one line of at most `limit` characters, cut between words with an ellipsis."""
    line = one_line(text)
    if len(line) <= limit:
        return line
    head = line[: limit - 1]
    return (head.rpartition(" ")[0].rstrip(" ,;:") or head) + "…"
