"""Plain text: which encoding, which pages, which headings."""

from __future__ import annotations

import codecs
import re

from greenlang_vectors.documents.act_words import alternatives
from greenlang_vectors.documents.blocks import PARAGRAPH
from greenlang_vectors.documents.clean import clean, shorten
from greenlang_vectors.documents.headings import Quotations, division, may_be_heading
from greenlang_vectors.documents.model import ExtractedDocument, Heading
from greenlang_vectors.errors import ExtractionError

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LEGACY = (
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1257", "koi8_r",
    "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr",
)  # fmt: skip
"""Legacy encodings, commonest first: of several that fit equally well the first is taken."""
_SAMPLE = 64 * 1024
_CONTROLS = bytes({*range(32), 127} - set(b"\t\n\v\f\r\x1b"))
_HEADING_CANDIDATE = re.compile(
    rf"(?:\A|(?<=\n\n))[‘'\"“„«]?(?:(?:{alternatives()})[^\n]{{0,250}}|[^\n]{{3,40}}:"
    r"|(?:\d{1,4}[a-z]?|[IVXLC]{1,8})\.?[ ]\w{4,10})$",
    re.IGNORECASE | re.MULTILINE,
)


def decode(data: bytes) -> str:
    """The text of `data`, whose encoding is found out.

    In this order: a byte-order mark, UTF-8 (a few bad bytes in it are replaced), UTF-16 without a
    mark, and the legacy encoding that fits best.

    Raises:
        ExtractionError: "undecodable" where none fits, "unsupported" where it is no text at all.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        if encoding := _utf16_without_mark(data):
            return data.decode(encoding, "replace")
        _refuse_binary(data, limit=0.02)
        text = data.decode("utf-8", "replace")
        bad = text.count("\ufffd")
        others = len(text) - len(text.encode("ascii", "ignore")) - bad
        return text if others > 10 * bad else _decode_legacy(data, error.start)
    if encoding := _utf16_without_mark(data):
        return data.decode(encoding, "replace")
    _refuse_binary(data, limit=0.3)
    return text


def _utf16_without_mark(data: bytes) -> str:
    """The UTF-16 in which every other byte is nearly always NUL, as Latin text has it, or ""."""
    sample = data[: _SAMPLE - _SAMPLE % 2]
    half = len(sample) // 2
    if half < 4 or len(data) % 2:
        return ""
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if odd > 0.6 * half and even < 0.05 * half:
        return "utf-16-le"
    if even > 0.6 * half and odd < 0.05 * half:
        return "utf-16-be"
    return ""


def _refuse_binary(data: bytes, limit: float) -> None:
    sample = data[:_SAMPLE]
    if len(sample) - len(sample.translate(None, _CONTROLS)) > limit * len(sample):
        raise ExtractionError(
            "unsupported", "It is binary data and no document.", "Remove it from the source."
        )


def _decode_legacy(data: bytes, first_bad: int) -> str:
    from charset_normalizer import from_bytes  # noqa: PLC0415

    start = max(0, first_bad - _SAMPLE)
    matches = from_bytes(data[start : start + 4 * _SAMPLE], cp_isolation=list(_LEGACY))
    best = matches.best()
    fitting = {
        encoding
        for match in matches
        if best and (match.chaos, match.coherence) == (best.chaos, best.coherence)
        for encoding in match.could_be_from_charset
    }
    for encoding in (*(name for name in _LEGACY if name in fitting), _LEGACY[0]):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ExtractionError(
        "undecodable", "Its character encoding cannot be made out.", "Save it as UTF-8."
    )


def extract_text(data: bytes, name: str, title: str | None = None) -> ExtractedDocument:
    """A plain-text document; form feeds separate pages, line breaks stay as written.

    Headings are the divisions of an act that stand on a line of their own after an empty line.
    """
    decoded = decode(data)
    pages = [clean(page) for page in decoded.split("\f")] if "\f" in decoded else [clean(decoded)]
    del decoded
    page_starts: list[int] = []
    offset = 0
    for page in pages:
        page_starts.append(offset)
        offset += len(page) + len(PARAGRAPH) if page else 0
    text = PARAGRAPH.join(page for page in pages if page)
    return ExtractedDocument(
        text=text,
        title=title or shorten(text[:1000].partition("\n")[0]) or name,
        media_type="text/plain",
        page_starts=tuple(min(start, len(text)) for start in page_starts) if pages[1:] else (),
        headings=tuple(_headings(text)),
    )


def _headings(text: str) -> list[Heading]:
    headings: list[Heading] = []
    quotations = Quotations()
    for match in _HEADING_CANDIDATE.finditer(text):
        line = match.group()
        found = division(line)
        if found is None:
            continue
        level, own_title = quotations.level(found[0], line), found[1]
        end = match.end()
        following = text[end : end + 300].lstrip("\n").partition("\n\n")[0]
        alone = text.startswith(PARAGRAPH, end) or end == len(text)
        if not own_title and following and may_be_heading(following):
            line = f"{line} – {following}"
        elif not alone:
            continue
        headings.append(Heading(start=match.start(), level=level, title=line))
    return headings
