"""Texts for property tests: every script and shape that has broken a chunker."""

from __future__ import annotations

from hypothesis import strategies as st

from greenlang_vectors.documents.model import ExtractedDocument, Heading

_CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")

_FRAGMENTS = st.sampled_from(
    [
        "The operator shall keep records. ",
        "See Art. 5 of Regulation (EU) No. 995/2010, e.g. p. 12; ",
        "1. Member States shall:\n(a) lay down rules;\n(b) apply them.\n\n",
        "Unverzichtbarkeitserklärung ",
        "antidisestablishmentarianism",
        "x" * 130,
        "QmFzZTY0" * 40,
        "." * 40,
        "؟!?…;—",
        "👩‍👩‍👧‍👦🇪🇺🏽 ",
        "e\u0301a\u0308o\u0335",
        "Z" + "\u0301" * 60,
        "\u200b\u200e\ufeff\u00ad",
        "[SEP] [MASK][CLS]",
        "يجب على المشغل أن يحتفظ بالسجلات. ",
        "המפעיל ינהל רישומים. ",
        "ผู้ประกอบการต้องเก็บบันทึกไว้",
        "事業者は記録を保持する。報告書を提出する。",
        "사업자는 기록을 보관한다. ",
        "ऑपरेटर रिकॉर्ड रखेगा। ",
        "𝔸𝕃𝔾 𐍈 ",
        "\r\n",
        "\n",
        "\n \t\n",
        "\r",
        "\u2028",
        "\x85\x1c",
        "\f",
        "\u00a0\u3000",
        " " * 250,
    ]
)

texts = (
    st.lists(st.one_of(_FRAGMENTS, st.text(_CHARACTERS, max_size=20)), max_size=40)
    .map("".join)
    .filter(str.strip)
)


@st.composite
def documents(draw: st.DrawFn) -> ExtractedDocument:
    """A document with headings and pages anywhere, even where no reader would find them."""
    text = draw(texts)
    offsets = st.integers(0, len(text) - 1)
    headings = []
    for start in sorted(draw(st.sets(offsets, max_size=8))):
        title = " ".join(text[start : start + draw(st.integers(0, 60))].split())
        headings.append(Heading(start, draw(st.integers(1, 6)), title))
    pages = (0, *sorted(draw(st.lists(offsets, max_size=5)))) if draw(st.booleans()) else ()
    return ExtractedDocument(text, "any", "text/plain", pages, tuple(headings))
