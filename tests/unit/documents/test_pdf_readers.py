"""Processes that read PDFs: each PDF in a fork that takes only itself along."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from greenlang_vectors.documents import pdf_readers
from greenlang_vectors.documents.pdf_readers import read_pdf
from greenlang_vectors.errors import ExtractionError

from .conftest import MakePdf

MODULES = {"greenlang_vectors.documents.pdfium_process", "hostile_process"}
ROOT = Path(pdf_readers.__file__).parents[2]


@pytest.fixture(autouse=True)
def _own_readers() -> Iterator[None]:
    pdf_readers.end_all()
    yield
    pdf_readers.end_all()


def readers() -> list[psutil.Process]:
    """The processes that read PDFs for this one."""
    return [child for child in psutil.Process().children() if MODULES & set(child.cmdline())]


def first_line(content: dict[str, object]) -> str:
    """The first line of what was read."""
    text: str = content["pages"][0]["lines"][0][0]  # type: ignore[index]
    return text


def test_one_process_reads_one_pdf_after_the_other(make_pdf: MakePdf) -> None:
    found = set()
    for line in ("One.", "Two.", "Three."):
        assert first_line(read_pdf(make_pdf([[line]]))) == line
        found.update(readers())
    assert len(found) == 1


def test_several_read_at_a_time(make_pdf: MakePdf) -> None:
    found: dict[int, str] = {}

    def read(number: int) -> None:
        found[number] = first_line(read_pdf(make_pdf([[f"Document {number}."]] * 20)))

    threads = [threading.Thread(target=read, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: f"Document {number}." for number in range(4)}
    assert 1 <= len(readers()) <= 4


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A reader that does what a PDF says, as one does whose author has found a hole in PDFium."""
    (tmp_path / "hostile_process.py").write_text(
        f"import os, sys, time\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from greenlang_vectors.documents.pdfium_process import __main__ as process\n"
        "def read(data):\n    exec(data)\n    return {'pages': [data.decode()]}\n"
        "process.read = read\nprocess.main()\n"
    )
    monkeypatch.setattr(pdf_readers, "_MODULE", "hostile_process")
    monkeypatch.setattr(pdf_readers, "_ROOT", tmp_path)
    monkeypatch.setattr(pdf_readers, "SECONDS", 1)


@pytest.mark.parametrize(
    ("attack", "what"),
    [
        (b"os.abort()", "is damaged"),
        (b"os.kill(os.getpid(), 9)", "is damaged"),
        (b"raise MemoryError", "is damaged"),
        (b"while True: pass", "more than 1 seconds"),
        (b"time.sleep(60)", "more than 1 seconds"),
    ],
)
@pytest.mark.usefixtures("hostile")
def test_one_that_crashes_or_hangs_costs_one_document(attack: bytes, what: str) -> None:
    assert read_pdf(b"0")["pages"] == ["0"]
    (reader,) = readers()
    with pytest.raises(ExtractionError, match=what) as caught:
        read_pdf(attack)
    assert caught.value.reason == "damaged"
    assert read_pdf(b"1")["pages"] == ["1"]
    assert readers() == [reader]


def test_a_reader_that_was_killed_is_replaced(make_pdf: MakePdf) -> None:
    read_pdf(make_pdf([["One."]]))
    (reader,) = readers()
    reader.kill()
    reader.wait()
    assert first_line(read_pdf(make_pdf([["Two."] * 3000]))) == "Two."
    assert readers() != [reader]


@pytest.mark.usefixtures("hostile")
def test_one_that_takes_its_reader_along_is_damaged() -> None:
    with pytest.raises(ExtractionError, match="damaged"):
        read_pdf(b"os.kill(os.getppid(), 9); os.kill(os.getpid(), 9)")
    assert read_pdf(b"1")["pages"] == ["1"]


def test_a_fork_of_this_process_uses_readers_of_its_own(make_pdf: MakePdf) -> None:
    data = make_pdf([["One."]])
    read_pdf(data)
    child = os.fork()
    if not child:
        code = 1
        try:
            code = 0 if first_line(read_pdf(data)) == "One." and len(readers()) == 1 else 2
        finally:
            pdf_readers.end_all()
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert first_line(read_pdf(data)) == "One."


def test_readers_end_with_the_process_they_read_for(make_pdf: MakePdf) -> None:
    data = make_pdf([["One."]])
    ready, done = os.pipe()
    child = os.fork()
    if not child:
        try:
            read_pdf(data)
            os.write(done, str(readers()[0].pid).encode())
            signal.pause()
        finally:
            os._exit(1)
    reader = psutil.Process(int(os.read(ready, 20)))
    os.close(ready)
    os.close(done)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    reader.wait(timeout=10)
