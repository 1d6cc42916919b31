"""Extraction: what a file really is, and the document in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from greenlang_vectors.documents.celex import celex_of
from greenlang_vectors.documents.docx import extract_docx
from greenlang_vectors.documents.formex import extract_formex
from greenlang_vectors.documents.html import extract_html
from greenlang_vectors.documents.markdown import extract_markdown
from greenlang_vectors.documents.media_types import DOCX, FORMEX, media_type_of
from greenlang_vectors.documents.model import ExtractedDocument
from greenlang_vectors.documents.pdf import extract_pdf
from greenlang_vectors.documents.source import RawDocument
from greenlang_vectors.documents.text import extract_text
from greenlang_vectors.errors import ExtractionError

EXTRACTION_VERSION = "3"
"""Belongs to the identity of every extracted text: raise it when any extractor or the cleaning
gives other text than before, and everything is extracted again."""

PDF = "application/pdf"

Extractor = Callable[[bytes, str, str | None], ExtractedDocument]

_EXTRACTORS: dict[str, Extractor] = {
    DOCX: extract_docx,
    FORMEX: extract_formex,
    PDF: extract_pdf,
    "text/html": extract_html,
    "text/markdown": extract_markdown,
    "text/plain": extract_text,
}


def extraction_version(media_type: str, ocr_languages: str) -> str:
    """What tells whether a text of this type was extracted as it would be now."""
    recognised = f"+ocr:{ocr_languages}" if ocr_languages and media_type == PDF else ""
    return EXTRACTION_VERSION + recognised


def extract(raw: RawDocument, ocr_languages: str = "") -> ExtractedDocument:
    """The document in `raw`.

    The file's name says what it claims to be, its bytes what it is; where they disagree it is
    refused, since a wrong name usually means a wrong file. A name without an ending claims
    nothing.

    Args:
        ocr_languages: Tesseract's names, with `+` between, of the languages in which scanned pages
            of PDFs are recognised; empty where they are not.

    Raises:
        ExtractionError: with one of the reasons "empty" (no bytes, or blanks alone),
            "mislabelled" (named as one type, in truth another), "unsupported" (a type that is not
            read), "undecodable" (text in an unknown encoding), "encrypted", "damaged",
            "unsafe" (XML that declares entities), "no_text" (nothing but pictures),
            "ocr_unavailable" (Tesseract or a language is missing), "ocr_failed".
    """
    if not raw.data.strip(b"\x00\t\n\v\f\r \xef\xbb\xbf\xff\xfe"):
        raise ExtractionError("empty", "It is empty.", "Fill it or remove it.")
    media_type = raw.media_type or media_type_of(raw.name, raw.data)
    extractor = _EXTRACTORS[media_type]
    if media_type == PDF:
        extractor = partial(extract_pdf, ocr_languages=ocr_languages)
    document = extractor(raw.data, raw.name, raw.title)
    if not document.text:
        raise ExtractionError("empty", "It holds no visible text.", "Fill it or remove it.")
    celex = document.metadata.get("celex") or celex_of(raw.name, document.title, document.text)
    return replace(document, metadata={**document.metadata, "celex": celex}) if celex else document
