"""Processes that read PDFs: each reads one after the other, and waits for more.

Starting one takes a tenth of a second, in which it could read twenty pages. As many are kept as
were once needed at a time; they end with this process.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Any, cast

from greenlang_vectors.documents.pdfium_process import LENGTH_BYTES
from greenlang_vectors.errors import ExtractionError

SECONDS = 300
"""Longest time one PDF may take; the 66 pages of Directive (EU) 2022/2464 take a quarter of one."""

_MODULE = "greenlang_vectors.documents.pdfium_process"
_ROOT = Path(__file__).parents[2]


class _Reader:
    """A process of `pdfium_process`, which finds the package where this one does."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-m", _MODULE, str(SECONDS)],
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._requests = cast("IO[bytes]", self._process.stdin)
        self._answers = cast("IO[bytes]", self._process.stdout)

    def read(self, data: bytes) -> dict[str, Any]:
        """What a PDF holds.

        Raises:
            OSError, EOFError: the process has ended.
        """
        self._requests.write(len(data).to_bytes(LENGTH_BYTES))
        self._requests.write(data)
        self._requests.flush()
        length = int.from_bytes(self._answers.read(LENGTH_BYTES))
        answer = self._answers.read(length)
        if not length or len(answer) < length:
            raise EOFError
        content: dict[str, Any] = json.loads(answer)
        return content

    def end(self) -> None:
        """End the process, which waits for nothing or has ended."""
        self._process.kill()
        self._process.communicate()


_idle: list[_Reader] = []


def read_pdf(data: bytes) -> dict[str, Any]:
    """What a PDF holds, as `pdfium_process` tells it.

    Raises:
        ExtractionError: "encrypted" or "damaged".
    """
    content = _read(data) or _read(data) or {}
    match content.get("error"):
        case "encrypted":
            raise ExtractionError(
                "encrypted",
                "It is encrypted and asks for a password.",
                "Save it without a password.",
            )
        case "slow":
            raise ExtractionError(
                "damaged",
                f"Reading it took more than {SECONDS} seconds.",
                "Export the PDF again, or split it.",
            )
    if not content.get("pages"):
        raise ExtractionError(
            "damaged",
            "It is damaged and cannot be read as a PDF.",
            "Fetch or export the file again.",
        )
    return content


def _read(data: bytes) -> dict[str, Any] | None:
    """What a PDF holds; None where the process that read it has ended."""
    try:
        reader = _idle.pop()
    except IndexError:
        reader = _Reader()
    try:
        content = reader.read(data)
    except (OSError, EOFError):
        reader.end()
        return None
    _idle.append(reader)
    return content


def end_all() -> None:
    """End the processes that wait."""
    while _idle:
        _idle.pop().end()


os.register_at_fork(after_in_child=_idle.clear)
atexit.register(end_all)
