"""Extraction of every file of the corpora, by kind, beside the floor: PDFium's text alone.

Processor seconds, those of the process that reads PDFs included, so that what else the machine does
counts little. The floor reads every page's text with pypdfium2 in this process and does nothing
with it: no paragraphs, headings, running lines or footnotes.
"""

from __future__ import annotations

import resource
from collections import defaultdict
from collections.abc import Callable

import pypdfium2
from rich.table import Table

from benchmarks.common import console, corpora, namespaces_of, number
from greenlang_vectors.documents.extract import extract
from greenlang_vectors.documents.source import RawDocument
from greenlang_vectors.errors import ExtractionError

RUNS = number("RUNS", 3)
"""The quickest of so many counts."""


def main() -> None:
    """Measure and print."""
    seconds: dict[str, float] = defaultdict(float)
    files: dict[str, int] = defaultdict(int)
    characters: dict[str, int] = defaultdict(int)
    pages = 0
    floor = 0.0
    for folder in corpora().values():
        for namespace in namespaces_of(folder):
            for path in sorted(namespace.glob("*.*")):
                raw = RawDocument(path.read_bytes(), path.name)
                try:
                    document = extract(raw)
                except ExtractionError:
                    continue
                kind = document.media_type
                files[kind] += 1
                characters[kind] += len(document.text)
                seconds[kind] += _seconds(lambda raw=raw: extract(raw))  # type: ignore[misc]
                if kind == "application/pdf":
                    pages += len(document.page_starts)
                    floor += _seconds(lambda raw=raw: _text(raw.data))  # type: ignore[misc]
    table = Table("kind", "files", "characters", "s of processor", "characters/s", "pages/s")
    for kind, took in sorted(seconds.items()):
        paged = f"{pages / took:,.0f}" if kind == "application/pdf" else ""
        rate = f"{characters[kind] / took:,.0f}"
        table.add_row(kind, str(files[kind]), f"{characters[kind]:,}", f"{took:.2f}", rate, paged)
    table.add_row("pypdfium2 alone", "", "", f"{floor:.2f}", "", f"{pages / floor:,.0f}")
    console.print(table)


def _text(data: bytes) -> None:
    for page in pypdfium2.PdfDocument(data):
        page.get_textpage().get_text_range()


def _seconds(work: Callable[[], object]) -> float:
    """Processor seconds of the quickest run, those of the processes it started included."""
    best = float("inf")
    for _ in range(RUNS):
        before = _used()
        work()
        best = min(best, _used() - before)
    return best


def _used() -> float:
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
