"""PDF documents, made here with reportlab."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from greenlang_vectors.documents.extract import extract
from greenlang_vectors.documents.model import ExtractedDocument
from greenlang_vectors.documents.source import RawDocument
from greenlang_vectors.errors import ExtractionError

MakePdf = Callable[..., bytes]
BODY = [
    "The operator shall monitor the emissions of each installation over the whole year",
    "and shall report them to the competent authority before the end of March.",
]


def read(data: bytes) -> ExtractedDocument:
    return extract(RawDocument(data, "a.pdf"))


def reason(data: bytes) -> str:
    with pytest.raises(ExtractionError) as caught:
        read(data)
    assert caught.value.remedy
    return caught.value.reason


def test_lines_become_paragraphs_and_pages_are_known(make_pdf: MakePdf) -> None:
    document = read(make_pdf([[*BODY, "", *BODY], [], ["Last page has other text."]]))
    paragraph = " ".join(BODY)
    assert document.text == f"{paragraph}\n\n{paragraph}\n\nLast page has other text."
    last = document.text.index("Last")
    assert document.page_starts == (0, last, last)
    assert document.page_at(last) == 3
    assert document.metadata["pages_without_text"] == [2]


def test_a_sentence_over_a_page_break_is_not_cut(
    make_pdf: MakePdf, lines_on: Callable[..., None]
) -> None:
    def page(number: int) -> Callable[[Canvas], None]:
        def draw(canvas: Canvas) -> None:
            side = "Official Journal" if number % 2 else "Union"
            canvas.setFont("Helvetica", 8)
            canvas.drawString(72, 800, f"{side} L 322/{number}")
            canvas.drawCentredString(300, 30, f"Page {number} of 4")
            lines_on(canvas, [f"{number}. Sentence about monitoring of plants.", "", *BODY])
            ending = "The report of each and every operator that is subject to these rules"
            lines_on(canvas, [ending], top=120)
            canvas.setFont("Helvetica", 7)
            canvas.drawString(72, 80, f"({number}) OJ C 517, 22.12.2021, p. 51.")

        return draw

    def last(canvas: Canvas) -> None:
        lines_on(canvas, ["is due in May."])
        canvas.setFont("Helvetica", 8)
        canvas.drawString(72, 800, "Union L 322/4")
        canvas.drawCentredString(300, 30, "Page 4 of 4")

    def follow(canvas: Canvas) -> None:
        lines_on(canvas, ["shall be kept."], top=760)
        page(2)(canvas)

    document = read(make_pdf([page(1), follow, page(3), last]))
    assert "subject to these rules shall be kept." in document.text
    assert "subject to these rules is due in May." in document.text
    assert "L 322" not in document.text
    assert "Page" not in document.text
    assert document.metadata["running_lines"] == [
        "Official Journal L 322/1",
        "Page 1 of 4",
        "Union L 322/2",
    ]
    for number in (1, 2, 3):
        offset = document.text.index(f"({number}) OJ C 517")
        assert document.page_at(offset) == number
    assert document.page_at(document.text.index("shall be kept")) == 2
    assert document.page_at(document.text.index("is due")) == 4


def test_a_table_head_that_recurs_is_no_running_line(make_pdf: MakePdf) -> None:
    pages = [[f"Body of page {word}.", "Table head"] for word in ("one", "two", "three", "four")]
    assert read(make_pdf(pages)).text.count("Table head") == 4


def test_split_words_are_joined_and_compounds_kept(make_pdf: MakePdf) -> None:
    document = read(
        make_pdf(
            [
                [
                    "Long-term targets need monitoring of sustainability over time, and regula-",
                    "tion of the market, with long-",
                    "term plans, sustain-",
                    "ability reports, small-",
                    "and medium-sized firms, and non-",
                    "financial data of EU-",
                    "Paris benchmarks in financial years 2019-",
                    "2024.",
                ]
            ]
        )
    )
    assert document.text == (
        "Long-term targets need monitoring of sustainability over time, and regulation of the "
        "market, with long-term plans, sustainability reports, small- and medium-sized firms, and "
        "non-financial data of EU-Paris benchmarks in financial years 2019-2024."
    )


def test_headings_by_looks_by_law_and_by_outline(make_pdf: MakePdf) -> None:
    def draw(canvas: Canvas) -> None:
        for y, font, size, text in (
            (740, "Helvetica-Bold", 18, "Annual climate report"),
            (700, "Helvetica", 10, "It begins here, in ordinary letters, and goes on for a while."),
            (660, "Helvetica", 10, "Article 5"),
            (640, "Helvetica-Bold", 10, "Obligations of operators"),
            (610, "Helvetica", 10, "Operators shall comply with all of these rules at all times."),
            (580, "Helvetica", 10, "Outlook"),
            (550, "Helvetica", 10, "Everything will be better when emissions fall every year."),
        ):
            canvas.setFont(font, size)
            canvas.drawString(72, y, text)
        canvas.bookmarkPage("outlook")
        canvas.addOutlineEntry("Outlook", "outlook", level=0)

    document = read(make_pdf([draw]))
    assert [heading.title for heading in document.headings] == [
        "Annual climate report",
        "Article 5 – Obligations of operators",
        "Outlook",
    ]
    assert document.headings[-1].level == 1
    assert document.title == "Annual climate report"


def test_encrypted_pdfs(make_pdf: MakePdf) -> None:
    locked = make_pdf([BODY], encrypt=StandardEncryption("secret", strength=128))
    assert reason(locked) == "encrypted"
    only_owner = make_pdf([BODY], encrypt=StandardEncryption("", ownerPassword="x", strength=128))
    assert "operator" in read(only_owner).text


def test_a_pdf_of_pictures_asks_for_ocr(make_pdf: MakePdf) -> None:
    data = make_pdf([lambda canvas: canvas.rect(50, 50, 200, 200, fill=1)])
    with pytest.raises(ExtractionError, match="OCR") as caught:
        read(data)
    assert caught.value.reason == "no_text"


def test_damaged_pdfs(make_pdf: MakePdf) -> None:
    data = make_pdf([BODY] * 3)
    assert reason(data[: len(data) // 2]) == "damaged"
    assert reason(b"%PDF-1.7\nnothing\n%%EOF") == "damaged"


def test_flipped_bits_are_read_or_refused(make_pdf: MakePdf) -> None:
    good = make_pdf([BODY] * 3)
    chance = random.Random(7)
    seen = set()
    for _ in range(12):
        data = bytearray(good)
        for _ in range(20):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        try:
            assert read(bytes(data)).text
        except ExtractionError as error:
            seen.add(error.reason)
    assert seen <= {"damaged", "no_text", "encrypted", "mislabelled"}
