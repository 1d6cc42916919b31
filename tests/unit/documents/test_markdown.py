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
