"""Nothing of the real regulations may be lost."""

from __future__ import annotations

import html
import re
from collections import Counter
from pathlib import Path

import pypdfium2
import pytest

from greenlang_vectors.documents.extract import extract
from greenlang_vectors.documents.model import ExtractedDocument
from greenlang_vectors.documents.source import FolderSource
from greenlang_vectors.errors import ExtractionError

LIMIT = 64 * 1024 * 1024


def document(shared_data: Path, name: str) -> ExtractedDocument:
    source = FolderSource(shared_data / "regulations")
    item = next(item for item in source.list() if item.key == name)
    return extract(source.read(item, LIMIT))


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.lower()))


def share_kept(original: str, extracted: str) -> float:
    expected = words(original)
    return 1 - (expected - words(extracted)).total() / expected.total()


def body_words(source: str) -> str:
    """The words of a page's body by another way: tags removed as text."""
    body = re.sub(r"<!--.*?-->", "", source[source.index("<body") :], flags=re.DOTALL)
    body = re.sub(r"</?(?:span|a|b|i|sup|sub|em|strong)\b[^>]*>", "", body)
    return html.unescape(re.sub(r"<[^>]+>", " ", body))


@pytest.mark.parametrize(
    "name",
    [
        "cbam/MRR_02018R2066-20240701_EN.html",
        "csrd/StopTheClock_32025L0794_EN.xhtml",
        "default/ClimateLaw_32021R1119_EN.xhtml",
        "default/SFDR_02019R2088-20240109_EN.html",
        "eudr/EUDR_32023R1115_OJ_2023-05-31_EN.xhtml",
    ],
)
def test_web_pages_keep_every_word(shared_data: Path, name: str) -> None:
    source = (shared_data / "regulations" / name).read_text(encoding="utf-8")
    assert share_kept(body_words(source), document(shared_data, name).text) == 1


@pytest.mark.parametrize(
    ("name", "articles", "recitals"),
    [
        ("eudr/EUDR_32023R1115_OJ_2023-05-31_EN.xhtml", 38, 86),
        ("default/ClimateLaw_32021R1119_EN.xhtml", 14, 40),
        ("default/SFDR_02019R2088-20240109_EN.html", 22, 0),
    ],
)
def test_every_article_and_recital_stands_alone(
    shared_data: Path, name: str, articles: int, recitals: int
) -> None:
    found = document(shared_data, name)
    titles = [heading.title for heading in found.headings if heading.title.startswith("Article")]
    assert len(titles) == articles
    assert all(" – " in title for title in titles)
    if recitals:
        preamble = found.text[found.text.index("Whereas:") : found.text.index("HAVE ADOPTED")]
        numbers = re.findall(r"(?m)^\((\d+)\) [‘A-Z]", preamble)
        assert numbers == [str(number) for number in range(1, recitals + 1)]


def test_titles_and_paths_of_an_act(shared_data: Path) -> None:
    eudr = document(shared_data, "eudr/EUDR_32023R1115_OJ_2023-05-31_EN.xhtml")
    assert eudr.title.startswith("Regulation (EU) 2023/1115 of 31 May 2023 on the making available")
    offset = eudr.text.index("Operators shall not place relevant products on the market")
    assert eudr.heading_path_at(offset) == (
        "CHAPTER 2 – OBLIGATIONS OF OPERATORS AND TRADERS",
        "Article 4 – Obligations of operators",
    )
    assert "Cattle | 0102 21 , 0102 29 Live cattle" in eudr.text


@pytest.mark.parametrize(
    ("name", "pages", "kept"),
    [("csrd/CSRD_32022L2464_EN.pdf", 66, 1.0), ("cbam/CBAM_32023R0956_EN.pdf", 53, 0.9995)],
)
def test_official_pdfs_keep_every_page(
    shared_data: Path, name: str, pages: int, kept: float
) -> None:
    found = document(shared_data, name)
    assert len(found.page_starts) == pages
    assert "Official Journal of the European Union L" not in found.text
    assert len(found.metadata["running_lines"]) == 2  # type: ignore[arg-type]

    pdf = pypdfium2.PdfDocument(shared_data / "regulations" / name)
    raw = [page.get_textpage().get_text_range() for page in pdf]
    bounds = [*found.page_starts, len(found.text)]
    for number, page in enumerate(raw):
        ours = found.text[bounds[number] : bounds[number + 1]]
        running = re.compile(r"(?m)^.* EN Official Journal of the European Union .*$")
        assert share_kept(_mended(running.sub("", page)), ours) > 0.93, f"page {number + 1}"
    everything = _mended("\n".join(running.sub("", page) for page in raw))
    assert share_kept(everything, found.text) >= kept


def _mended(text: str) -> str:
    """PDFium's text with footnote marks on one line and its hyphens as hyphens."""
    return re.sub(r"\(\s*(\d+)\s*\)", r"(\1)", text).replace("\ufffe", "-")


def test_sentences_run_over_pages_and_split_words_are_whole(shared_data: Path) -> None:
    csrd = document(shared_data, "csrd/CSRD_32022L2464_EN.pdf")
    paragraphs = csrd.text.split("\n\n")
    assert sum(paragraph[0].islower() for paragraph in paragraphs) <= 1
    assert "in place of ‘non-financial information’" in csrd.text
    cbam = document(shared_data, "cbam/CBAM_32023R0956_EN.pdf")
    assert "fol-lowing" not in cbam.text
    assert "thickness (excluding any backing) not exceeding" in cbam.text
    titles = {heading.title for heading in cbam.headings}
    assert {f"Article {n}" for n in range(1, 37)} == {
        title.partition(" – ")[0] for title in titles if title.startswith("Article")
    }


def test_empty_markdown_files_are_refused_and_others_read(shared_data: Path) -> None:
    source = FolderSource(shared_data / "regulations" / "vcci")
    reasons = []
    for item in source.list():
        try:
            assert extract(source.read(item, LIMIT)).headings
        except ExtractionError as error:
            reasons.append(error.reason)
    assert reasons == ["empty"] * 3
