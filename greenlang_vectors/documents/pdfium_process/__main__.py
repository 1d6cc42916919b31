"""The process: a fork for each PDF."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from greenlang_vectors.documents.pdfium_process import LENGTH_BYTES
from greenlang_vectors.documents.pdfium_process.page import read_page

MEMORY_BYTES = 4 * 1024**3


def main() -> None:
    """Answers every PDF on standard input; the argument is how many seconds one may take."""
    _limit_memory()
    seconds = int(sys.argv[1])
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while length := requests.read(LENGTH_BYTES):
        data = requests.read(int.from_bytes(length))
        fork = os.fork()
        if not fork:
            signal.alarm(seconds)
            answer = read(data)
            signal.alarm(0)
            _write(answers, answer)
            os._exit(0)
        del data
        status = os.waitpid(fork, 0)[1]
        if status:
            slow = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM
            _write(answers, {"error": "slow" if slow else "damaged"})


def _limit_memory() -> None:
    if sys.platform == "linux":
        import resource  # noqa: PLC0415

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def _write(answers: Any, answer: dict[str, Any]) -> None:  # noqa: ANN401 - standard output
    encoded = json.dumps(answer).encode()
    answers.write(len(encoded).to_bytes(LENGTH_BYTES) + encoded)
    answers.flush()


def read(data: bytes) -> dict[str, Any]:
    """What a PDF holds, or why it cannot be read."""
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        locked = getattr(error, "err_code", None) in (
            pdfium.FPDF_ERR_PASSWORD,
            pdfium.FPDF_ERR_SECURITY,
        )
        return {"error": "encrypted" if locked else "damaged"}
    try:
        return {
            "pages": [read_page(document[index]) for index in range(len(document))],
            "outline": _outline(document),
            "metadata": document.get_metadata_dict(skip_empty=True),
        }
    except pypdfium2.PdfiumError:
        return {"error": "damaged"}


def _outline(document: pypdfium2.PdfDocument) -> list[list[Any]]:
    entries = []
    for bookmark in document.get_toc(max_depth=8):
        target = bookmark.get_dest()
        page = target.get_index() if target is not None else None
        if page is not None:
            entries.append([bookmark.level + 1, bookmark.get_title(), page])
    return entries


if __name__ == "__main__":
    main()
