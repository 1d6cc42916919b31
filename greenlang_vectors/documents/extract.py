"""Extraction: what a file really is, and the document in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePosixPath

from greenlang_vectors.documents.celex import celex_of
from greenlang_vectors.documents.html import extract_html
from greenlang_vectors.documents.markdown import extract_markdown
from greenlang_vectors.documents.model import ExtractedDocument
from greenlang_vectors.documents.pdf import extract_pdf
from greenlang_vectors.documents.source import RawDocument
from greenlang_vectors.documents.text import decode, extract_text
from greenlang_vectors.errors import ExtractionError

EXTRACTION_VERSION = "2"
"""Belongs to the identity of every extracted text: raise it when any extractor or the cleaning
gives other text than before, and everything is extracted again."""

Extractor = Callable[[bytes, str, str | None], ExtractedDocument]

_EXTRACTORS: dict[str, Extractor] = {
    "application/pdf": extract_pdf,
    "text/html": extract_html,
    "text/markdown": extract_markdown,
    "text/plain": extract_text,
}
MEDIA_TYPES = {
    ".pdf": "application/pdf",
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "text/html",
    ".xht": "text/html",
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".txt": "text/plain",
    ".text": "text/plain",
    "": "text/plain",
}
"""What a file's ending claims; other endings are not read."""
_NAMES = {
    "application/pdf": ("a PDF", ".pdf"),
    "text/html": ("an HTML page", ".html"),
    "text/plain": ("plain text", ".txt"),
}
_SIGNATURES = (
    (b"PK\x03\x04", "a ZIP archive or Office document"),
    (b"PK\x05\x06", "a ZIP archive"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
    (b"{\\rtf", "a Rich Text document"),
    (b"%!PS", "PostScript"),
    (b"\x89PNG\r\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"RIFF", "a RIFF picture, sound or film"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90\x00", "a program"),
    (b"\xcf\xfa\xed\xfe", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!\x1a", "a RAR archive"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"PAR1", "a Parquet file"),
    (b"ID3", "a sound"),
    (b"\x00\x00\x01\x00", "an icon"),
)
_PDF_START = re.compile(rb"(?:\xef\xbb\xbf)?\s{0,64}%PDF-")
_HTML_START = re.compile(
    r"\s*(?:<\?xml[^>]{0,500}>\s*)?(?:<!--(?:(?!-->).){0,2000}-->\s*){0,5}<(?:!doctype\s+html|html)\b",
    re.IGNORECASE | re.DOTALL,
)
_ANY_TAG = re.compile(r"</?[A-Za-z][\w:-]*[\s/>]")
_HEAD = 8192


def extract(raw: RawDocument) -> ExtractedDocument:
    """The document in `raw`.

    The file's name says what it claims to be, its bytes what it is; where they disagree it is
    refused, since a wrong name usually means a wrong file. A name without an ending claims
    nothing.

    Raises:
        ExtractionError: with one of the reasons "empty" (no bytes, or blanks alone),
            "mislabelled" (named as one type, in truth another), "unsupported" (a type that is not
            read), "undecodable" (text in an unknown encoding), "encrypted", "damaged",
            "no_text" (nothing but pictures).
    """
    if not raw.data.strip(b"\x00\t\n\v\f\r \xef\xbb\xbf\xff\xfe"):
        raise ExtractionError("empty", "It is empty.", "Fill it or remove it.")
    media_type = raw.media_type or _media_type(raw)
    document = _EXTRACTORS[media_type](raw.data, raw.name, raw.title)
    if not document.text:
        raise ExtractionError("empty", "It holds no visible text.", "Fill it or remove it.")
    celex = document.metadata.get("celex") or celex_of(raw.name, document.title, document.text)
    return replace(document, metadata={**document.metadata, "celex": celex}) if celex else document


def _media_type(raw: RawDocument) -> str:
    suffix = PurePosixPath(raw.name).suffix.lower()
    claimed = MEDIA_TYPES.get(suffix)
    described, actual = _sniff(raw.data)
    if not suffix and actual is not None:
        return actual
    if claimed is None:
        if actual in ("application/pdf", "text/html"):
            raise _mislabelled(suffix, actual)
        raise ExtractionError(
            "unsupported",
            f"Files ending in {suffix} are not read{f' (it is {described})' if described else ''}.",
            "Convert it to PDF, HTML, Markdown or plain text.",
        )
    if actual is None and described:
        raise ExtractionError(
            "mislabelled" if suffix else "unsupported",
            f"It is {described}" + (f", not what its ending {suffix} says." if suffix else "."),
            "Convert it to PDF, HTML, Markdown or plain text, or remove it.",
        )
    if actual in ("application/pdf", "text/html") and actual != claimed:
        raise _mislabelled(suffix, actual)
    if claimed == "application/pdf" and actual != claimed:
        return _not_a_pdf(raw.data)
    if claimed == "text/html" and actual is None and not _ANY_TAG.search(decode(raw.data)):
        raise _mislabelled(suffix, "text/plain")
    return claimed


def _sniff(data: bytes) -> tuple[str, str | None]:
    """What the bytes certainly are: words for it, and the media type where it can be read."""
    for signature, description in _SIGNATURES:
        if data.startswith(signature):
            return description, None
    if _PDF_START.match(data):
        return "a PDF", "application/pdf"
    head = data[:_HEAD]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" not in head[:64]:
        encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
        if _HTML_START.match(head.decode(encoding, "replace")):
            return "an HTML page", "text/html"
    return "", None


def _mislabelled(suffix: str, actual: str) -> ExtractionError:
    description, ending = _NAMES[actual]
    return ExtractionError(
        "mislabelled",
        f"It is {description}, not what its ending {suffix} says.",
        f"Rename it to end in {ending}.",
    )


def _not_a_pdf(data: bytes) -> str:
    if b"%PDF-" in data[:1024]:
        return "application/pdf"
    try:
        decode(data)
    except ExtractionError:
        raise ExtractionError(
            "damaged", "It is named a PDF and has no PDF header.", "Fetch the file again."
        ) from None
    raise _mislabelled(".pdf", "text/plain")
