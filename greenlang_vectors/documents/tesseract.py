"""Tesseract: what it reads on a picture of a page.

It is a program and no Python package: it may crash or hang and takes only itself along. Its
languages are files that the machine has or has not; nothing is ever fetched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from greenlang_vectors.documents.xml import parse
from greenlang_vectors.errors import ExtractionError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

DOTS_AN_INCH = 300
SECONDS = 120
"""Longest time one page may take; a full one takes two to five of them."""
NOISE = 30.0
"""Lines of less confidence are left out, and so are signs: specks and photographs. Some words that
are read rightly have none at all."""

_PROGRAM = "tesseract"


@dataclass(frozen=True, slots=True)
class SeenLine:
    """A line of words; all in dots from the lower left of the picture.

    Attributes:
        height: of its ink, from the lowest letters' feet to the highest letters' heads.
        spaces: between its words: the place in the text, where it begins and where it ends.
    """

    text: str
    left: float
    right: float
    baseline: float
    height: float
    spaces: Sequence[tuple[int, float, float]]


@dataclass(frozen=True, slots=True)
class Seen:
    """What is on a picture.

    Attributes:
        width, height: of the picture in dots.
        letters: letters and digits of all lines.
        confidence: the mean of its words, from 0 to 100, by their letters.
        upright: whether most of them stand on lines that run from the left to the right.
    """

    width: int
    height: int
    lines: Sequence[SeenLine] = ()
    letters: int = 0
    confidence: float = 0.0
    upright: bool = True


def letters_of(text: str) -> int:
    """How many letters and digits it has."""
    return sum(char.isalnum() for char in text)


def see(picture: bytes, languages: str) -> Seen:
    """What Tesseract reads on a PGM, in its own order.

    Args:
        languages: its names of them with `+` between.

    Raises:
        ExtractionError: "ocr_unavailable" where it or a language is not on this machine;
            "ocr_failed" where it takes too long or fails.
    """
    _, width, height, _ = picture[:64].split(maxsplit=3)
    lines: list[SeenLine] = []
    letters, on_side, confidence = 0, 0, 0.0
    for element in parse(_hocr(picture, languages)).iter():
        words = _words(element)
        sure = sum(letters_of(text) * word["x_wconf"][0] for text, word in words)
        of_line = sum(letters_of(text) for text, _ in words)
        if sure < NOISE * of_line or not words:
            continue
        lines.append(_line(element, words, int(height)))
        letters += of_line
        on_side += of_line if "textangle" in _properties(element) else 0
        confidence += sure
    return Seen(
        int(width),
        int(height),
        lines,
        letters,
        confidence / letters if letters else 0.0,
        upright=2 * on_side <= letters,
    )


def turn(picture: bytes) -> int:
    """Degrees by which a PGM must be turned clockwise to stand upright; 0 if that is not seen."""
    try:
        found = run([_PROGRAM, "stdin", "stdout", "--psm", "0"], picture)
    except ExtractionError:
        return 0
    facts = dict(line.split(": ", 1) for line in found.decode().splitlines() if ": " in line)
    return int(facts.get("Rotate", 0))


def run(command: Sequence[str], data: bytes) -> bytes:
    """What a program answers to `data`.

    Raises:
        ExtractionError: "ocr_failed" where it takes more than `SECONDS` or fails.
    """
    try:
        return subprocess.run(  # noqa: S603
            command,
            input=data,
            capture_output=True,
            timeout=SECONDS,
            check=True,
            env={**os.environ, "OMP_THREAD_LIMIT": "1"},
        ).stdout
    except subprocess.TimeoutExpired as error:
        raise _failed(f"took more than {SECONDS} seconds") from error
    except subprocess.CalledProcessError as error:
        raise _failed("failed") from error


def _hocr(picture: bytes, languages: str) -> bytes:
    """The one of its formats that tells baselines: http://kba.github.io/hocr-spec/1.2/

    A language that is missing must be found out before: it would be left out without an error.
    """
    if shutil.which(_PROGRAM) is None:
        raise _unavailable("Tesseract is not on this machine", ["tesseract-ocr"])
    listed = run([_PROGRAM, "--list-langs"], b"").decode().split()
    missing = [name for name in languages.split("+") if name not in listed]
    if missing:
        packages = [f"tesseract-ocr-{name.replace('_', '-')}" for name in missing]
        raise _unavailable(f"Tesseract has no {' and no '.join(missing)} here", packages)
    options = ("-l", languages, "--dpi", str(DOTS_AN_INCH), "-c", "tessedit_create_hocr=1")
    return run([_PROGRAM, "stdin", "stdout", *options], picture)


def _words(element: Element) -> list[tuple[str, dict[str, list[float]]]]:
    return [
        (text, properties)
        for word in element
        if word.get("class") == "ocrx_word"
        and (text := "".join(word.itertext()).strip())
        and ((properties := _properties(word))["x_wconf"][0] >= NOISE or letters_of(text))
    ]


def _line(
    element: Element, words: list[tuple[str, dict[str, list[float]]]], height: int
) -> SeenLine:
    properties = _properties(element)
    left, _, right, bottom = properties["bbox"]
    slope, rise = properties.get("baseline", (0.0, 0.0))
    ends = accumulate(len(text) + 1 for text, _ in words)
    return SeenLine(
        " ".join(text for text, _ in words),
        min(word["bbox"][0] for _, word in words),
        max(word["bbox"][2] for _, word in words),
        height - (bottom + rise + slope * (right - left) / 2),
        properties["x_size"][0],
        [
            (end - 1, word["bbox"][2], following["bbox"][0])
            for end, ((_, word), (_, following)) in zip(ends, pairwise(words), strict=False)
        ],
    )


def _properties(element: Element) -> dict[str, list[float]]:
    """What hOCR tells of an element in its title, such as "bbox 1 2 3 4; x_wconf 96"."""
    parts = (part.split() for part in element.get("title", "").split(";"))
    return {name: [float(value) for value in values] for name, *values in parts}


def _unavailable(what: str, packages: Sequence[str]) -> ExtractionError:
    return ExtractionError(
        "ocr_unavailable",
        f"It holds scanned pages, and {what}.",
        f"Install {' '.join(packages)} (Debian's names), or change GREENLANG_OCR_LANGUAGES.",
    )


def _failed(how: str) -> ExtractionError:
    return ExtractionError(
        "ocr_failed",
        f"Recognising one of its pages {how}.",
        "Scan it again, or put its text in its place.",
    )
