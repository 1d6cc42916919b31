"""What a file really is: its media type, by its name and its bytes."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import PurePosixPath
from zipfile import is_zipfile

from greenlang_vectors.documents.docx import MEDIA_TYPE as DOCX
from greenlang_vectors.documents.docx import is_docx
from greenlang_vectors.documents.formex import MEDIA_TYPE as FORMEX
from greenlang_vectors.documents.formex import ROOTS
from greenlang_vectors.documents.text import decode
from greenlang_vectors.errors import ExtractionError

__all__ = ["DOCX", "FORMEX", "MEDIA_TYPES", "media_type_of"]

MEDIA_TYPES = {
    ".pdf": "application/pdf",
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "text/html",
    ".docx": DOCX,
    ".xml": FORMEX,
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
    DOCX: ("a Word document", ".docx"),
    FORMEX: ("an act in Formex", ".xml"),
    "text/plain": ("plain text", ".txt"),
}
_CONVERT = "Convert it to PDF, HTML, Word (.docx), Markdown or plain text, or remove it."
_ZIP = b"PK\x03\x04"
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
_FORMEX_START = re.compile(
    r"\s*(?:<[?!][^>]{0,500}>\s*){0,5}"
    rf"<(?:!DOCTYPE\s+)?(?:{'|'.join(map(re.escape, sorted(ROOTS)))})[\s>]"
)
_ANY_TAG = re.compile(r"</?[A-Za-z][\w:-]*[\s/>]")
_HEAD = 8192


def media_type_of(name: str, data: bytes) -> str:
    """The media type of a file, by its name and its bytes.

    Raises:
        ExtractionError: "mislabelled" where they disagree, "unsupported" or "damaged".
    """
    suffix = PurePosixPath(name).suffix.lower()
    claimed = MEDIA_TYPES.get(suffix)
    described, actual = _sniff(data)
    if not suffix and actual is not None:
        return actual
    if claimed is None:
        if actual is not None:
            raise _mislabelled(suffix, actual)
        raise ExtractionError(
            "unsupported",
            f"Files ending in {suffix} are not read{f' (it is {described})' if described else ''}.",
            _CONVERT,
        )
    cut_off = data.startswith(_ZIP) and not is_zipfile(BytesIO(data))
    if claimed == DOCX and actual is None and (cut_off or not described):
        raise ExtractionError(
            "damaged", "It is cut off, or no Word document at all.", "Fetch the file again."
        )
    if actual is None and described:
        raise ExtractionError(
            "mislabelled" if suffix else "unsupported",
            f"It is {described}" + (f", not what its ending {suffix} says." if suffix else "."),
            _CONVERT,
        )
    if claimed == FORMEX and actual in (None, "text/html"):
        return _other_xml(actual)
    if actual is not None and actual != claimed:
        raise _mislabelled(suffix, actual)
    if claimed == "application/pdf" and actual != claimed:
        return _not_a_pdf(data)
    if claimed == "text/html" and actual is None and not _ANY_TAG.search(decode(data)):
        raise _mislabelled(suffix, "text/plain")
    return claimed


def _sniff(data: bytes) -> tuple[str, str | None]:
    """What the bytes certainly are: words for it, and the media type where it can be read."""
    if data.startswith(_ZIP) and is_docx(data):
        return "a Word document", DOCX
    for signature, description in _SIGNATURES:
        if data.startswith(signature):
            return description, None
    if _PDF_START.match(data):
        return "a PDF", "application/pdf"
    head = data[:_HEAD]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" not in head[:64]:
        encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
        text = head.decode(encoding, "replace")
        if _HTML_START.match(text):
            return "an HTML page", "text/html"
        if _FORMEX_START.match(text):
            return "an act in Formex", FORMEX
    return "", None


def _mislabelled(suffix: str, actual: str) -> ExtractionError:
    description, ending = _NAMES[actual]
    return ExtractionError(
        "mislabelled",
        f"It is {description}, not what its ending {suffix} says.",
        f"Rename it to end in {ending}.",
    )


def _other_xml(actual: str | None) -> str:
    """The type of a file that is named XML and is no Formex: XHTML is XML, too."""
    if actual is None:
        raise ExtractionError(
            "unsupported", "It is XML of a kind that is not read, or none at all.", _CONVERT
        )
    return actual


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
