"""What a file really is, and what every extracted document promises."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from greenlang_vectors.documents.clean import clean
from greenlang_vectors.documents.extract import extract
from greenlang_vectors.documents.model import ExtractedDocument
from greenlang_vectors.documents.source import RawDocument
from greenlang_vectors.errors import ExtractionError

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
PAGE = b"<!DOCTYPE html><html><body><p>Words</p></body></html>"


def make_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("word/document.xml", "<w/>")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "name", "reason"),
    [
        (b"", "a.md", "empty"),
        (b" \n\t\x00", "a.txt", "empty"),
        (b"\xef\xbb\xbf", "a.txt", "empty"),
        (b"", "a.pdf", "empty"),
        (b"%PDF-1.7\n...", "a.txt", "mislabelled"),
        (b"%PDF-1.7\n...", "a.docx", "mislabelled"),
        (make_zip(), "a.pdf", "mislabelled"),
        (PNG, "a.html", "mislabelled"),
        (b"\x7fELF\x02\x01\x01\x00", "a.md", "mislabelled"),
        (b"MZ\x90\x00\x03\x00", "a.md", "mislabelled"),
        (PAGE, "a.txt", "mislabelled"),
        (PAGE, "a.md", "mislabelled"),
        (PAGE, "a.pdf", "mislabelled"),
        (b"Only words.", "a.pdf", "mislabelled"),
        (b"Only words.", "a.html", "mislabelled"),
        (make_zip(), "a.docx", "no_text"),
        (b"a,b\n1,2\n", "a.csv", "unsupported"),
        (PNG, "picture", "unsupported"),
        (PNG, "a.png", "unsupported"),
        (b"\x93\x00\xff\x01\x02\x03\x04" * 99, "a.pdf", "damaged"),
        (b"\x93\x00\xff\x01\x02\x03\x04" * 99, "a.md", "unsupported"),
    ],
)
def test_refused_files_name_their_reason(data: bytes, name: str, reason: str) -> None:
    with pytest.raises(ExtractionError) as caught:
        extract(RawDocument(data, name))
    assert caught.value.reason == reason
    assert caught.value.message
    assert caught.value.remedy


def test_a_mislabelled_file_is_told_its_right_name() -> None:
    with pytest.raises(ExtractionError, match=r"is a PDF.*\.pdf"):
        extract(RawDocument(b"%PDF-1.7\n...", "a.txt"))


@pytest.mark.parametrize(
    ("data", "name", "media_type"),
    [
        (PAGE, "page", "text/html"),
        (PAGE.decode().encode("utf-16"), "A.HTM", "text/html"),
        (b"Words", "README", "text/plain"),
        (b"Words", "a.MD", "text/markdown"),
        (b"A text that names %PDF-1.7 in passing", "a.txt", "text/plain"),
        (b"<p>A paragraph</p>", "a.html", "text/html"),
        (b"<p align=center>Logo</p>\n\n# Title", "a.md", "text/markdown"),
    ],
)
def test_names_and_contents_that_agree(data: bytes, name: str, media_type: str) -> None:
    assert extract(RawDocument(data, name)).media_type == media_type


def test_a_source_that_knows_the_type_is_believed() -> None:
    raw = RawDocument(b"<html> is how a page begins", "7", title="Pages", media_type="text/plain")
    document = extract(raw)
    assert document.text == "<html> is how a page begins"
    assert document.title == "Pages"


def check(document: ExtractedDocument) -> None:
    text = document.text
    assert text
    assert clean(text) == text
    assert text.encode("utf-8")
    assert document.title == document.title.strip() != ""
    assert document.title.encode("utf-8")
    starts = document.page_starts
    assert list(starts) == sorted(starts)
    assert not starts or (starts[0] == 0 and starts[-1] <= len(text))
    offsets = [heading.start for heading in document.headings]
    assert offsets == sorted(set(offsets))
    for heading in document.headings:
        assert heading.level >= 1
        words = [word for word in heading.title.split() if word != "–"]
        found = text[heading.start : heading.start + 10 * len(heading.title) + 100]
        said = [word for word in found.split() if word != "–"]
        assert said[: len(words)] == words


NAMES = st.sampled_from(["a.html", "a.md", "a.txt", "a", "a.xhtml"])
WORDS = ["Article 5", "CHAPTER I", "ANNEX", "Whereas:", "Title", "# Heading", "## ", "=====", "\n",
         "\n\n", "\f", "<p>", "</p>", "<table>", "<tr>", "<td>", "</table>", "(a)", "<b>", "</b>",
         "<li>", "<h2>", "</h2>", "<br>", "- ", "> ", "```", "---", "é", "\u0301", "\x00", "*x*",
         "text", " – ", "[l](u)", "<![CDATA[", "<a/>", "<html>", "&nbsp;", "\ud800"]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), NAMES)
@example(b"<p>\xed\xa0\x80</p>", "a.html")
def test_any_bytes_become_a_document_or_an_extraction_error(data: bytes, name: str) -> None:
    try:
        document = extract(RawDocument(data, name))
    except ExtractionError:
        return
    check(document)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=30), NAMES)
def test_any_markup_keeps_the_promises_of_a_document(words: list[str], name: str) -> None:
    data = "".join(words).encode("utf-8", "surrogatepass")
    try:
        document = extract(RawDocument(data, name))
    except ExtractionError:
        return
    check(document)
