"""Word documents."""

from __future__ import annotations

from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from greenlang_vectors.documents import docx as docx_module
from greenlang_vectors.documents.extract import extract
from greenlang_vectors.documents.model import ExtractedDocument
from greenlang_vectors.documents.source import RawDocument
from greenlang_vectors.errors import ExtractionError

from . import acts
from .words import docx, paragraph, part, run

STYLES = (
    '<w:style w:styleId="H1"><w:name w:val="heading 1"/></w:style>'
    '<w:style w:styleId="Own"><w:name w:val="Own"/><w:basedOn w:val="Between"/></w:style>'
    '<w:style w:styleId="Between"><w:name w:val="b"/><w:basedOn w:val="H1"/></w:style>'
    '<w:style w:styleId="H2"><w:name w:val="x"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>'
)
NUMBERING = (
    '<w:abstractNum w:abstractNumId="7"><w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt '
    'w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl><w:lvl w:ilvl="1"><w:start w:val="1"/>'
    '<w:numFmt w:val="lowerLetter"/><w:lvlText w:val="(%2)"/></w:lvl></w:abstractNum>'
    '<w:abstractNum w:abstractNumId="8"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/><w:lvlText '
    'w:val="o"/></w:lvl></w:abstractNum>'
    '<w:num w:numId="1"><w:abstractNumId w:val="7"/></w:num>'
    '<w:num w:numId="2"><w:abstractNumId w:val="8"/></w:num>'
)


def read(content: bytes, name: str = "a.docx") -> ExtractedDocument:
    return extract(RawDocument(content, name))


def paragraphs(body: str, **parts: str) -> list[str]:
    return read(docx(body, **parts)).text.split("\n\n")


def styled(style: str) -> str:
    return f'<w:pStyle w:val="{style}"/>'


def item(identity: int, level: int) -> str:
    return f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{identity}"/></w:numPr>'


def table(rows: list[list[str]], *, header: bool) -> str:
    made = ""
    for number, cells in enumerate(rows):
        mark = "<w:trPr><w:tblHeader/></w:trPr>" if header and not number else ""
        inner = "".join(f"<w:tc>{paragraph(cell)}</w:tc>" for cell in cells)
        made += f"<w:tr>{mark}{inner}</w:tr>"
    return f"<w:tbl>{made}</w:tbl>"


def test_headings_are_told_by_style() -> None:
    document = read(
        docx(
            paragraph("One", styled("H1"))
            + paragraph("Inner", styled("H2"))
            + paragraph("Text.")
            + paragraph("Two", styled("Own"))
            + paragraph("More."),
            styles=STYLES,
        )
    )
    assert [(h.level, h.title) for h in document.headings] == [(1, "One"), (2, "Inner"), (1, "Two")]
    assert document.heading_path_at(document.text.index("Text.")) == ("One", "Inner")
    assert document.title == "One"


def test_list_items_carry_the_marks_that_word_shows() -> None:
    body = "".join(
        paragraph(text, item(identity, level))
        for text, identity, level in (
            ("a", 1, 0), ("b", 1, 1), ("c", 1, 1), ("d", 1, 0), ("e", 1, 1), ("f", 2, 0),
        )
    )  # fmt: skip
    assert paragraphs(body, numbering=NUMBERING) == [
        "1. a", "(a) b", "(b) c", "2. d", "(a) e", "- f",
    ]  # fmt: skip


def test_tracked_changes_are_accepted_and_comments_left_out() -> None:
    body = (
        f"<w:p>{run('Operators ')}<w:del><w:r><w:delText>may</w:delText></w:r></w:del>"
        f'<w:ins>{run("shall")}</w:ins><w:commentRangeStart w:id="1"/>{run(" act")}'
        '<w:r><w:commentReference w:id="1"/></w:r>'
        "<w:r><w:tab/><w:t>now</w:t><w:br/><w:t>here.</w:t></w:r></w:p>"
        f"<w:moveFrom>{paragraph('Moved.')}</w:moveFrom>"
        f"<w:sdt><w:sdtContent>{paragraph('In a control.')}</w:sdtContent></w:sdt>"
    )
    assert paragraphs(body, comments=f"<w:comment w:id='1'>{paragraph('Why?')}</w:comment>") == [
        "Operators shall act now\nhere.",
        "In a control.",
    ]


def test_notes_follow_the_paragraph_that_calls_them() -> None:
    body = (
        f"<w:p>{run('As laid down')}<w:r><w:footnoteReference w:id='2'/></w:r>{run('.')}</w:p>"
        + paragraph("Next.")
    )
    notes = (
        f"<w:footnote w:type='separator' w:id='0'>{paragraph('x')}</w:footnote>"
        f"<w:footnote w:id='2'>{paragraph('OJ L 1.')}</w:footnote>"
    )
    assert paragraphs(body, footnotes=notes) == ["As laid down [1].", "[1] OJ L 1.", "Next."]


def test_tables_are_rows_under_their_header() -> None:
    rows = [["Code", "Empty", "Goods"], *([str(n), "", "Good " * 20] for n in range(7601, 7621))]
    blocks = paragraphs(table(rows, header=True) + paragraph("After."))
    assert len(blocks) > 2
    assert all(block.startswith("Code | Empty | Goods\n") for block in blocks[:-1])
    assert "7601 | – | Good" in blocks[0]
    assert blocks[-1] == "After."
    assert paragraphs(table([["a", "", "b"], ["c", "", ""]], header=False)) == ["a | b\nc"]


def test_an_act_in_word_has_its_articles() -> None:
    act = read(docx("".join(map(paragraph, acts.lines()))))
    page = extract(RawDocument(acts.xhtml(), "act.xhtml"))
    assert act.text == page.text
    assert act.headings == page.headings


def test_a_part_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docx_module, "LARGEST_PART", 10_000)
    with pytest.raises(ExtractionError) as refused:
        read(docx(paragraph("x" * 10_000)))
    assert refused.value.reason == "oversized"


def archive(**parts: str) -> bytes:
    buffer = BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as made:
        for name, content in parts.items():
            made.writestr(name.replace("__", "/") + ".xml", content)
    return buffer.getvalue()


ENTITY = '<!DOCTYPE d [<!ENTITY a "x">]>' + part("document", "<w:body>&a;</w:body>")


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        (docx(paragraph("Text."))[:-30], "a.docx", "damaged"),
        (archive(word__document="<w"), "a.docx", "damaged"),
        (archive(word__document=ENTITY), "a.docx", "unsafe"),
        (archive(xl__workbook="<w/>"), "a.docx", "mislabelled"),
        (b"Plain text.", "a.docx", "damaged"),
        (docx(""), "a.docx", "no_text"),
        (docx(paragraph("Text.")), "a.pdf", "mislabelled"),
    ],
)
def test_what_is_refused(content: bytes, name: str, reason: str) -> None:
    with pytest.raises(ExtractionError) as refused:
        read(content, name)
    assert refused.value.reason == reason
