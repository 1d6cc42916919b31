"""Markdown: text as written, headings without their marks, front matter as metadata."""

from __future__ import annotations

import re
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from greenlang_vectors.documents.blocks import Block, assemble
from greenlang_vectors.documents.clean import clean, normalise_line_ends, one_line, shorten
from greenlang_vectors.documents.model import JSON, ExtractedDocument
from greenlang_vectors.documents.tables import PIECE
from greenlang_vectors.documents.text import decode

_FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_FIELD = re.compile(r"([A-Za-z_][\w .-]{0,60}):(?:[ \t]+(.*))?")
_DELIMITERS = re.compile(r"\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*")
_FRONT_MATTER_LENGTH = 20_000
_HEADING_LENGTH = 1_000

_STRUCTURE = MarkdownIt("commonmark").disable(["inline", "reference"], ignoreInvalid=True)
_INLINE = MarkdownIt("commonmark")


def extract_markdown(data: bytes, name: str, title: str | None = None) -> ExtractedDocument:
    """A Markdown document.

    The text keeps its marks (emphasis, links, tables, list bullets), which read well and lose
    nothing; only headings stand as plain lines, so that chunks begin with their words. The header
    of a long table stands again above every piece of it.
    """
    source = normalise_line_ends(decode(data)).replace("\x00", "")
    metadata, source = _front_matter(source)
    lines = source.split("\n")
    blocks: list[Block] = []
    done = 0
    tokens = _STRUCTURE.parse(source)
    for token, content in pairwise(tokens):
        if token.type != "heading_open" or token.map is None or token.map[0] < done:
            continue
        start, end = token.map
        _append(blocks, _with_headers_repeated(lines[done:start]))
        heading = clean(one_line(_plain(content)))
        _append(blocks, heading, level=int(token.tag[1:]))
        done = end
    _append(blocks, _with_headers_repeated(lines[done:]))

    own_title = metadata.get("title")
    first = next((block for block in blocks if block.level is not None), None) or (
        blocks[0] if blocks else None
    )
    return assemble(
        blocks,
        title=title
        or (own_title if isinstance(own_title, str) else "")
        or (shorten(first.text[:1000].partition("\n")[0]) if first else "")
        or name,
        media_type="text/markdown",
        metadata=metadata,
    )


def _append(blocks: list[Block], text: str, level: int | None = None) -> None:
    cleaned = clean(text)
    if cleaned:
        blocks.append(Block(cleaned, level=level))


def _with_headers_repeated(lines: list[str]) -> str:
    """The lines, a long table's header standing again above every piece of it."""
    result: list[str] = []
    header: list[str] = []
    size = 0
    fenced = False
    for number, line in enumerate(lines):
        fenced ^= line.lstrip().startswith(("```", "~~~"))
        if fenced or "|" not in line:
            header = []
        elif header and size + len(line) > PIECE:
            result += ["", *header]
            size = len(line)
        elif header:
            size += len(line)
        elif _DELIMITERS.fullmatch(line) and number and "|" in lines[number - 1]:
            header, size = [lines[number - 1], line], 0
        result.append(line)
    return "\n".join(result)


def _plain(heading: Token) -> str:
    """The words of a heading, without emphasis, link targets and code marks."""
    if len(heading.content) > _HEADING_LENGTH:
        return heading.content
    tokens = _INLINE.parseInline(heading.content)[0].children or []
    words = "".join(
        "\n" if token.type in ("softbreak", "hardbreak") else token.content
        for token in tokens
        if token.type != "html_inline"
    )
    return words if words.strip() else heading.content


def _front_matter(source: str) -> tuple[dict[str, JSON], str]:
    """The fields of a YAML header and the text after it.

    Only plain `key: value` lines and lists below a key are read; a header with anything else is
    no header but text.
    """
    match = _FRONT_MATTER.match(source[:_FRONT_MATTER_LENGTH])
    if match is None:
        return {}, source
    fields: dict[str, JSON] = {}
    key = ""
    for line in match[1].split("\n"):
        field = _FIELD.fullmatch(line)
        if field is not None:
            key = field[1]
            fields[key] = clean((field[2] or "").strip().strip("\"'"))
        elif key and line.lstrip().startswith("- "):
            value = clean(line.strip()[2:].strip().strip("\"'"))
            fields[key] = f"{fields[key]}, {value}" if fields[key] else value
        elif line.strip() and not line.startswith("#"):
            return {}, source
    return fields, source[match.end() :]
