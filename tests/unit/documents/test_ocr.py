"""Scanned pages are recognised where languages are named, and only they."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from greenlang_vectors.documents import tesseract
from greenlang_vectors.documents.extract import extract
from greenlang_vectors.documents.model import ExtractedDocument
from greenlang_vectors.documents.source import RawDocument
from greenlang_vectors.errors import ExtractionError
from greenlang_vectors.settings import Settings

from ...scans import needs_tesseract, scan_on
from .conftest import MakePdf, draw_lines

Program = Callable[[str], None]

FIRST, SECOND = (
    [
        "Article 5",
        "",
        "Obligations of operators",
        "",
        "1. Operators shall monitor the emissions of each installation over the whole year and",
        "the authority shall see to the regula-",
        "tion of the market.",
        "",
        "2. The report of every operator that is subject to these rules and to the duties of",
    ],
    [
        "the first paragraph shall be kept for ten years.",
        "",
        "Article 6",
        "",
        "Penalties",
        "",
        "Member States shall lay down the rules on penalties for infringements by operators.",
    ],
)
TABLE = [
    ("Installation", "Fuel", "Tonnes"),
    ("Aachen north", "gas", "1,204"),
    ("Berlin east", "lignite", "20,450"),
]
PRINTED = ["This page was made by a program, and its words are as they were written in it."]


def read(data: bytes, languages: str = "eng") -> ExtractedDocument:
    return extract(RawDocument(data, "a.pdf"), languages)


def refused(data: bytes, languages: str = "eng") -> ExtractionError:
    with pytest.raises(ExtractionError) as caught:
        read(data, languages)
    return caught.value


@pytest.fixture(scope="session")
def scanned(make_pdf: MakePdf) -> bytes:
    """One page that is a picture."""
    return make_pdf([lambda canvas: scan_on(canvas, make_pdf([SECOND]))])


@pytest.fixture(scope="module")
def mixed(make_pdf: MakePdf) -> bytes:
    """Two scanned pages, one of them stamped; a printed and a blank one; a title with a picture.

    The paper of the second lay a little lower.
    """

    def first(canvas: Canvas) -> None:
        canvas.drawString(72, 800, "Official Journal of the European Union L 322/1")
        draw_lines(canvas, FIRST)

    def second(canvas: Canvas) -> None:
        canvas.drawString(72, 795, "Official Journal of the European Union L 322/2")
        draw_lines(canvas, SECOND)
        for number, row in enumerate(TABLE):
            for left, cell in zip((72, 220, 330), row, strict=True):
                canvas.drawString(left, 560 - 16 * number, cell)
        for number, item in enumerate(("fines that reflect the damage;", "loss of the revenues.")):
            canvas.drawString(76, 480 - 16 * number, "•")
            canvas.drawString(90, 480 - 16 * number, item)

    def stamped(canvas: Canvas) -> None:
        scan_on(canvas, paper, 1)
        canvas.drawString(400, 60, "Copy 7")

    def title(canvas: Canvas) -> None:
        canvas.drawInlineImage(_logo(), 72, 600, 100, 100)
        canvas.drawString(72, 500, "Annual report")

    paper = make_pdf([first, second])
    return make_pdf([lambda canvas: scan_on(canvas, paper), stamped, PRINTED, [], title])


def _logo() -> object:
    from PIL import Image, ImageDraw

    picture = Image.new("L", (200, 200), 255)
    ImageDraw.Draw(picture).text((10, 80), "LOGO OF A COMPANY", fill=0)
    return picture


@pytest.fixture(scope="module")
def document(mixed: bytes) -> ExtractedDocument:
    return read(mixed)


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Program:
    """Puts a script of Python in the place of Tesseract; it lists English alone."""

    def put(script: str) -> None:
        path = tmp_path / "tesseract"
        path.write_text(
            f"#!{sys.executable}\nimport sys\n"
            f"if '--list-langs' in sys.argv: print('Languages:\\neng'); sys.exit()\n{script}"
        )
        path.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return put


@needs_tesseract
def test_scanned_pages_read_as_printed_ones_do(document: ExtractedDocument) -> None:
    assert document.text.startswith("Article 5\nObligations of operators\n\n1. Operators shall")
    assert "the authority shall see to the regulation of the market." in document.text
    assert "to the duties of the first paragraph shall be kept for ten years." in document.text
    assert [heading.title for heading in document.headings][:2] == [
        "Article 5 – Obligations of operators",
        "Article 6 – Penalties",
    ]
    assert document.metadata["running_lines"] == ["Official Journal of the European Union L 322/1"]
    assert document.page_at(document.text.index("Article 6")) == 2
    assert "\n".join(" | ".join(row) for row in TABLE) in document.text
    assert "• fines that reflect the damage;\n\n• loss of the revenues." in document.text


@needs_tesseract
def test_which_pages_were_recognised_is_told_and_how_surely(document: ExtractedDocument) -> None:
    assert document.metadata["ocr"] is True
    assert document.metadata["ocr_pages"] == [1, 2]
    confidence = document.metadata["ocr_confidence"]
    assert isinstance(confidence, float)
    assert 85 < confidence <= 100
    assert "ocr_doubtful_pages" not in document.metadata


@needs_tesseract
def test_other_pages_stay_as_they_are(document: ExtractedDocument) -> None:
    assert PRINTED[0] in document.text.split("\n\n")
    assert document.text.endswith("\n\nAnnual report")
    assert document.metadata["pages_without_text"] == [4]


@needs_tesseract
def test_a_page_that_lies_on_its_side_is_read(make_pdf: MakePdf) -> None:
    upright = make_pdf([SECOND])
    document = read(make_pdf([lambda canvas: scan_on(canvas, upright, turned=90)]))
    assert "the rules on penalties for infringements by operators." in document.text
    assert document.headings[0].title == "Article 6 – Penalties"


def test_without_languages_it_is_said_what_to_install_and_to_set(scanned: bytes) -> None:
    error = refused(scanned, "")
    assert error.reason == "no_text"
    assert "install tesseract-ocr" in error.remedy
    assert "GREENLANG_OCR_LANGUAGES" in error.remedy


def test_without_the_program_only_scans_are_refused(
    mixed: bytes, make_pdf: MakePdf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    error = refused(mixed)
    assert error.reason == "ocr_unavailable"
    assert "Install tesseract-ocr" in error.remedy
    assert read(make_pdf([PRINTED, [], ["Annex II"]])).text == f"{PRINTED[0]}\n\nAnnex II"


def test_a_language_that_is_missing_is_not_left_out(scanned: bytes, program: Program) -> None:
    program("sys.exit(1)")
    error = refused(scanned, "eng+chi_sim")
    assert error.reason == "ocr_unavailable"
    assert "Install tesseract-ocr-chi-sim" in error.remedy


@pytest.mark.parametrize("script", ["import time; time.sleep(20)", "sys.exit(1)"])
def test_a_page_that_takes_too_long_or_fails_costs_one_document(
    scanned: bytes, program: Program, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    program(script)
    monkeypatch.setattr(tesseract, "SECONDS", 3)
    assert refused(scanned).reason == "ocr_failed"


def hocr(*lines: str, heights: Sequence[int] = (40, 40, 40)) -> str:
    """What Tesseract answers: lines one below the other, words with their confidence behind `/`."""
    answer = '<html xmlns="http://www.w3.org/1999/xhtml"><body>'
    for number, (line, height) in enumerate(zip(lines, heights, strict=False)):
        bottom = 400 + 50 * number
        box = f"bbox 300 {bottom - 40} 2000 {bottom}"
        answer += f'<span class="ocr_line" title="{box}; baseline 0 -9; x_size {height}">'
        for place, word in enumerate(line.split()):
            text, _, confidence = word.partition("/")
            box = f"bbox {300 + 200 * place} 1 {490 + 200 * place} 2"
            answer += f'<span class="ocrx_word" title="{box}; x_wconf {confidence}">{text}</span>'
        answer += "</span>"
    return f"{answer}</body></html>"


def test_ink_that_is_higher_in_one_line_begins_no_paragraph(
    scanned: bytes, program: Program
) -> None:
    words = [
        "one/90 man/90 saw/90 us/90",
        "gypsy/90 Joe/90 jumped/90 by/90",
        "now/90 one/90 ran/90",
    ]
    program(f"print({hocr(*words, heights=(38, 44, 36))!r})")
    assert read(scanned).text == "one man saw us gypsy Joe jumped by now one ran"


def test_a_page_whose_lines_are_read_up_and_down_is_turned(
    make_pdf: MakePdf, program: Program
) -> None:
    upright = hocr("so/90 it/90 stands/90")
    on_side = hocr("so/90 it/90 lies/90").replace("baseline 0 -9", "textangle 90")
    program(
        "_, width, height, _ = sys.stdin.buffer.read().split(maxsplit=3)\n"
        "if '--psm' in sys.argv: print('Rotate: 270')\n"
        f"else: print({on_side!r} if int(width) > int(height) else {upright!r})"
    )
    data = make_pdf([lambda canvas: scan_on(canvas, make_pdf([SECOND]), turned=270)])
    assert read(data).text == "so it stands"


def test_what_is_hardly_recognised_is_stored_and_told(scanned: bytes, program: Program) -> None:
    program(f"print({hocr('Penalties/80 for/80 operators/0 ~|,/12', '1l/20 ,ii/20 .../90')!r})")
    document = read(scanned)
    assert document.text == "Penalties for operators"
    assert document.metadata["ocr_confidence"] == 45.7
    assert document.metadata["ocr_doubtful_pages"] == [1]


def test_nothing_that_is_recognised_is_told(scanned: bytes, program: Program) -> None:
    program("print('<html/>')")
    error = refused(scanned)
    assert error.reason == "no_text"
    assert "GREENLANG_OCR_LANGUAGES, which is eng" in error.remedy


def test_a_large_page_is_drawn_with_fewer_dots(make_pdf: MakePdf, program: Program) -> None:
    def poster(canvas: Canvas) -> None:
        canvas.setPageSize((4 * A4[0], 4 * A4[1]))
        canvas.rect(100, 100, 500, 500, fill=1)

    program(
        "_, width, height, _ = sys.stdin.buffer.read().split(maxsplit=3)\n"
        "print('<html/>')\n"
        "sys.exit(int(width) * int(height) > 25.1e6)"
    )
    assert refused(make_pdf([poster])).reason == "no_text"


@pytest.mark.parametrize("languages", ["english", "eng,deu", "../eng", "-l", "eng+", "+"])
def test_languages_are_named_as_tesseract_does(languages: str) -> None:
    with pytest.raises(ValidationError, match="ocr_languages"):
        Settings(ocr_languages=languages)
    assert Settings(ocr_languages="eng+chi_sim").ocr_languages == "eng+chi_sim"
