"""HTML and XHTML documents."""

from __future__ import annotations

import pytest

from greenlang_vectors.documents.extract import extract
from greenlang_vectors.documents.model import ExtractedDocument
from greenlang_vectors.documents.source import RawDocument
from greenlang_vectors.errors import ExtractionError


def html(source: str, name: str = "a.html") -> ExtractedDocument:
    return extract(RawDocument(source.encode(), name))


def paragraphs(source: str) -> list[str]:
    return html(source).text.split("\n\n")


def test_only_what_is_visible_is_text() -> None:
    source = """<html lang="en"><head><title>Site</title><style>p {}</style></head><body>
    <nav>Home | About</nav><script>var x = "<p>no</p>";</script><!-- comment -->
    <header>Head<svg><title>icon</title></svg></header>
    <p style="display: none">hidden</p><p hidden>hidden</p>
    <p>Seen <b>text</b>, <i>all</i> of&nbsp;it: CO<sub>2</sub>.</p><footer>Foot</footer>
    </body></html>"""
    document = html(source)
    assert document.text == "Head\n\nSeen text, all of it: CO2.\n\nFoot"
    assert document.title == "Site"
    assert document.metadata["language"] == "en"


def test_fragments_without_head_or_closing_tags() -> None:
    assert paragraphs("<p>one<p>two<div>three</div>four") == ["one", "two", "three", "four"]
    assert paragraphs("one<br>two<hr>three") == ["one\ntwo", "three"]


def test_headings_and_their_levels() -> None:
    document = html("<h1>Act</h1><p>x</p><h2>Part <i>one</i></h2><p>y</p><p><b>Bold line</b></p>z.")
    assert [(h.level, h.title) for h in document.headings][:2] == [(1, "Act"), (2, "Part one")]
    assert document.heading_path_at(document.text.index("z.")) == ("Act", "Part one", "Bold line")
    assert document.title == "Act"


def test_articles_of_an_act_carry_their_titles() -> None:
    document = html(
        "<p>Whereas:</p><p>(1) First.</p><p>CHAPTER 2</p><div><p><span>OBLIGATIONS</span></p></div>"
        "<p>Article 5</p><div><p>Obligations of operators</p></div><p>1. Text.</p>"
        "<p>Article 6</p><p>Operators shall comply.</p><p>ANNEX I</p><p>List of goods</p>"
    )
    assert [h.title for h in document.headings] == [
        "Whereas:",
        "CHAPTER 2 – OBLIGATIONS",
        "Article 5 – Obligations of operators",
        "Article 6",
        "ANNEX I – List of goods",
    ]
    assert document.heading_path_at(document.text.index("shall comply")) == (
        "CHAPTER 2 – OBLIGATIONS",
        "Article 6",
    )


def test_lists_laid_out_as_tables_or_grids_are_paragraphs() -> None:
    layout = (
        "<table><tr><td><p>(1)</p></td><td><p>Whereas one:</p>"
        "<table><tr><td>(a)</td><td><p>nested;</p></td></tr></table></td></tr></table>"
        "<div><div><span>(b) </span></div><div><p>grid item</p><p>second</p></div></div>"
    )
    assert paragraphs(layout) == ["(1) Whereas one:", "(a) nested;", "(b) grid item", "second"]


def test_a_long_table_has_its_header_over_every_piece() -> None:
    rows = "".join(f"<tr><td>{n}</td><td>{'Good ' * 20}</td></tr>" for n in range(7601, 7621))
    for head in (
        "<thead><tr><td>Code</td><td>Goods</td></tr></thead>",
        "<tr><th>Code</th><th>Goods</th></tr>",
        '<tr><td><p class="oj-tbl-hdr">Code</p></td><td><p class="oj-tbl-hdr">Goods</p></td></tr>',
    ):
        blocks = paragraphs(f"<table>{head}{rows}</table>")
        assert len(blocks) > 2
        assert all(block.startswith("Code | Goods\n7") for block in blocks)
        lines = [line for block in blocks for line in block.split("\n")[1:]]
        assert [line[:4] for line in lines] == [str(code) for code in range(7601, 7621)]
    named = "".join(f"<tr><th>{n}</th><td>{'Good ' * 20}</td></tr>" for n in range(7601, 7621))
    assert len(paragraphs(f"<table>{named}</table>")) == 1


def test_data_tables_are_rows() -> None:
    table = (
        "<table><caption>Goods</caption><tr><th>CN code</th><th>Gas</th></tr>"
        "<tr><td>7601</td><td>Carbon dioxide</td></tr><tr><td></td><td>none</td></tr></table>"
    )
    assert paragraphs(table) == ["Goods", "CN code | Gas\n7601 | Carbon dioxide\n– | none"]


def test_list_marks_are_those_a_browser_shows() -> None:
    source = "<ul><li>one<li><p>two</p></ul><ol start=3><li>three</li><li>four</li></ol><li></li>"
    assert paragraphs(source) == ["- one", "- two", "3. three", "4. four"]


def test_xhtml_self_closing_elements_and_cdata() -> None:
    source = (
        '<?xml version="1.0" encoding="UTF-8"?><html xmlns="http://www.w3.org/1999/xhtml"><head>'
        '<title/><script src="x.js"/></head><body><p><a id="n1"/>One</p><p>Two '
        "<![CDATA[a < b]]></p></body></html>"
    )
    assert html(source, "a.xhtml").text == "One\n\nTwo a < b"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "windows-1252"])
def test_declared_encodings(encoding: str) -> None:
    source = f'<html><head><meta charset="{encoding}"></head><body>Größe é</body></html>'
    assert extract(RawDocument(source.encode(encoding), "a.html")).text == "Größe é"


def test_a_file_name_is_no_title() -> None:
    document = html(
        "<html><head><title>L_2023150EN.xml</title></head><body>First line</body></html>"
    )
    assert document.title == "First line"


def test_deep_nesting_neither_hangs_nor_crashes() -> None:
    assert html("<div>" * 900 + "deep" + "</div>" * 900).text == "deep"
    with pytest.raises(ExtractionError) as caught:
        html("<div>" * 200_000 + "deep")
    assert caught.value.reason == "damaged"


def test_a_page_of_scripts_has_no_text() -> None:
    with pytest.raises(ExtractionError) as caught:
        html("<html><body><script>render()</script><img src=x></body></html>")
    assert caught.value.reason == "no_text"
