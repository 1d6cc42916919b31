"""Extraction of every file of the corpora, by kind, beside the floor: PDFium's text alone.

Processor seconds, those of the processes that read PDFs included, so that what else the machine
does counts little. The floor reads every page's text with pypdfium2 in this process and does
nothing with it: no paragraphs, headings, running lines, tables or footnotes.
"""

from __future__ import annotations

import resource
import time
from collections import defaultdict
from collections.abc import Callable, Iterator

import psutil
import pypdfium2
from rich.table import Table

from benchmarks.common import console, corpora, namespaces_of, number
from greenlang_vectors.documents import pdf_readers
from greenlang_vectors.documents.extract import extract
from greenlang_vectors.documents.source import RawDocument
from greenlang_vectors.errors import ExtractionError

RUNS = number("RUNS", 5)
"""The quickest of so many counts."""
REAPED = 0.1
"""Seconds after which the time of a fork that has answered counts as its parent's."""


def main() -> None:
    """Measure and print."""
    files: dict[str, list[RawDocument]] = defaultdict(list)
    characters: dict[str, int] = defaultdict(int)
    pages = 0
    for raw in _files():
        try:
            document = extract(raw)
        except ExtractionError:
            continue
        files[document.media_type].append(raw)
        characters[document.media_type] += len(document.text)
        pages += len(document.page_starts)
    table = Table("kind", "files", "characters", "s of processor", "characters/s", "pages/s")
    for kind, raws in sorted(files.items()):
        took = _seconds(lambda raws=raws: [extract(raw) for raw in raws])  # type: ignore[misc]
        paged = f"{pages / took:,.0f}" if kind == "application/pdf" else ""
        rate = f"{characters[kind] / took:,.0f}"
        table.add_row(kind, str(len(raws)), f"{characters[kind]:,}", f"{took:.2f}", rate, paged)
    pdfs = files["application/pdf"]
    floor = _seconds(lambda: [_pages(raw.data) for raw in pdfs])
    table.add_row("pypdfium2 alone", "", "", f"{floor:.2f}", "", f"{pages / floor:,.0f}")
    first = _seconds(lambda: _anew(pdfs[0]))
    table.add_row("one PDF, its reader started", "1", "", f"{first:.2f}", "", "")
    console.print(table)


def _files() -> Iterator[RawDocument]:
    for folder in corpora().values():
        for namespace in namespaces_of(folder):
            for path in sorted(namespace.glob("*.*")):
                yield RawDocument(path.read_bytes(), path.name)


def _anew(raw: RawDocument) -> None:
    pdf_readers.end_all()
    extract(raw)


def _pages(data: bytes) -> int:
    """How many pages have text, all of which is read."""
    pages = pypdfium2.PdfDocument(data)
    return sum(bool(page.get_textpage().get_text_range()) for page in pages)


def _seconds(work: Callable[[], object]) -> float:
    """Processor seconds of the quickest run, those of the processes that wait included."""
    best = float("inf")
    for _ in range(RUNS):
        before = _used()
        work()
        time.sleep(REAPED)
        best = min(best, _used() - before)
    return best


def _used() -> float:
    """Processor seconds of this process, of those that have ended, and of those that wait."""
    own, ended = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    waiting = sum(sum(child.cpu_times()[:4]) for child in psutil.Process().children())
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime + waiting
