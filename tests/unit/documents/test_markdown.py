"""Markdown documents."""

from __future__ import annotations

from greenlang_vectors.documents.extract import extract
from greenlang_vectors.documents.model import ExtractedDocument
from greenlang_vectors.documents.source import RawDocument

SOURCE = """---
title: "Value chain emissions"
author: Someone
tags:
  - scope 3
  - carbon
---
Intro with **bold** and a [link](https://example.org).

# Top `code` *level*

| a | b |
|---|---|
| 1 | 2 |

Second
======

```
# no heading
```

## Third ##
\t- (a) nested item
> ### Quoted
"""


def markdown(source: str) -> ExtractedDocument:
    return extract(RawDocument(source.encode(), "a.md"))


def test_headings_lose_their_marks_and_nothing_else_is_lost() -> None:
    document = markdown(SOURCE)
    assert [(h.level, h.title) for h in document.headings] == [
        (1, "Top code level"),
        (1, "Second"),
        (2, "Third"),
        (3, "Quoted"),
    ]
    for heading in document.headings:
        assert document.text[heading.start :].startswith(heading.title)
    assert "**bold** and a [link](https://example.org)" in document.text
    assert "| 1 | 2 |" in document.text
    assert "# no heading" in document.text
    assert "- (a) nested item" in document.text


def test_front_matter_is_metadata() -> None:
    document = markdown(SOURCE)
    assert document.title == "Value chain emissions"
    assert document.metadata == {
        "title": "Value chain emissions",
        "author": "Someone",
        "tags": "scope 3, carbon",
    }
    assert document.text.startswith("Intro")


def test_a_rule_at_the_start_is_no_front_matter() -> None:
    document = markdown("---\nJust a paragraph, with words.\n---\n\nmore\n")
    assert document.metadata == {}
    assert "Just a paragraph, with words." in document.text


def test_titles_without_front_matter() -> None:
    assert markdown("text\n\n## Heading\n").title == "Heading"
    assert markdown("first line\nsecond line\n").title == "first line"


def test_a_long_table_has_its_header_over_every_piece() -> None:
    rows = "".join(f"| {n} | {'Good ' * 20}|\n" for n in range(7601, 7621))
    head = "| Code | Goods |\n|------|:-----:|\n"
    text = extract(RawDocument(f"# T\n\n{head}{rows}\nAfter.\n".encode(), "a.md")).text
    title, *pieces, after = text.split("\n\n")
    assert (title, after) == ("T", "After.")
    assert len(pieces) > 1
    assert all(piece.startswith(head) for piece in pieces)
    assert [line[2:6] for piece in pieces for line in piece.split("\n")[2:]] == [
        str(code) for code in range(7601, 7621)
    ]
    fenced = extract(RawDocument(f"```\n{head}{rows}```\n".encode(), "a.md")).text
    assert fenced.count("Code") == 1
