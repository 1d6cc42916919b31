"""Passages are grouped by what they stand in; a page ends where its tokens are used up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlang_vectors.search.hits import Hit, Key
from greenlang_vectors.search.page import Page
from greenlang_vectors.search.parents import Part, grouped, joined, result
from greenlang_vectors.search.passages import Passage

ONE, TWO = UUID(int=1), UUID(int=2)


def passage(key: Key, parent: int | None = None, content: str = "text") -> Passage:
    return Passage(
        *key, key[0], "document", "a.txt", "A", 1, [], content, {}, tokens=3, parent_index=parent
    )


def hits(*keys: Key) -> list[Hit]:
    """Best first."""
    return [Hit(key, 1 - place / 100) for place, key in enumerate(keys)]


def part(chunk: int, content: str, start: int, **more: Any) -> Part:  # noqa: ANN401
    fields: dict[str, Any] = {
        "document_id": ONE,
        "chunk_index": chunk,
        "page": chunk,
        "page_end": chunk,
        "heading_path": [str(chunk)],
        "content": content,
        "tokens": len(content.split()) + 2,
        "start": start,
        "end": start + len(content),
    }
    return Part(**{**fields, **more})


def test_children_are_grouped_by_their_parent_in_the_order_of_the_best() -> None:
    parents = {(ONE, 1): 0, (ONE, 2): 0, (ONE, 5): 4, (TWO, 1): 0}
    found = {key: passage(key, parent) for key, parent in parents.items()}
    groups = grouped(hits((ONE, 5), (TWO, 1), (ONE, 2), (ONE, 1)), found)
    assert [(group.key, group.chunks) for group in groups] == [
        ((ONE, 4), [(ONE, 4)]),
        ((TWO, 0), [(TWO, 0)]),
        ((ONE, 0), [(ONE, 0)]),
    ]
    assert [hit.key for hit in groups[2].hits] == [(ONE, 2), (ONE, 1)]


def test_without_parents_neighbours_are_one_group_and_none_is_in_two() -> None:
    order = [(ONE, 5), (ONE, 7), (ONE, 4), (TWO, 5), (ONE, 8)]
    groups = grouped(hits(*order), {key: passage(key) for key in order})
    places = [[chunk for _, chunk in group.chunks] for group in groups]
    assert places == [[4, 5, 6], [7, 8], [4, 5, 6]]
    assert [len(group.hits) for group in groups] == [2, 2, 1]


@given(st.permutations([(document, n) for document in (ONE, TWO) for n in range(9)]), st.data())
def test_deeper_searches_only_add_to_the_end(order: list[Key], data: st.DataObject) -> None:
    """What pages are made of: groups keep their places and their chunks, whatever comes after."""
    parents = {key: data.draw(st.none() | st.integers(20, 23)) for key in order}
    found = {key: passage(key, parent) for key, parent in parents.items()}
    whole = grouped(hits(*order), found)
    part = grouped(hits(*order[: data.draw(st.integers(0, len(order)))]), found)
    assert [(g.key, g.chunks) for g in part] == [(g.key, g.chunks) for g in whole[: len(part)]]
    chunks = [chunk for group in whole for chunk in group.chunks]
    assert len(set(chunks)) == len(chunks)
    assert sorted(hit.key for group in whole for hit in group.hits) == sorted(order)


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        (["One.", "Two."], "One.\n\nTwo."),
        ([("One.", 0), ("Two.", 5)], "One.\nTwo."),
        ([("abc", 0), ("def", 3)], "abcdef"),
        ([("one two three", 0), ("two three four", 4)], "one two three four"),
        ([("first", 0), ("second", 0)], "first\n\nsecond"),  # chunks whose places are unknown
    ],
)
def test_chunks_are_joined_and_what_they_overlap_stands_once(
    texts: Sequence[Any], shown: str
) -> None:
    placed = [each if isinstance(each, tuple) else (each, 9 * n) for n, each in enumerate(texts)]
    assert joined([part(n, text, start) for n, (text, start) in enumerate(placed)]) == shown


def test_a_result_is_the_best_child_with_its_parent() -> None:
    found = {(ONE, n): passage((ONE, n), 0, text) for n, text in ((1, "One."), (2, "Two."))}
    [group] = grouped(hits((ONE, 2), (ONE, 1)), found)
    shown = result(group, 3, found, {(ONE, 0): part(0, "One. Two. Three.", 0)})
    assert (shown.rank, shown.chunk_index, shown.content, shown.score) == (3, 2, "Two.", 1)
    assert shown.parent is not None
    assert (shown.parent.content, shown.parent.tokens) == ("One. Two. Three.", 5)
    assert [(each.chunk_index, each.score) for each in shown.parent.children] == [(2, 1), (1, 0.99)]


@pytest.mark.parametrize("parts", [{}, {(ONE, 0): part(0, "Another text.", 0)}])
def test_where_the_parent_is_gone_or_another_the_passage_is_shown(parts: dict[Key, Part]) -> None:
    found = {(ONE, 1): passage((ONE, 1), 0, "One.")}
    [group] = grouped(hits((ONE, 1)), found)
    parent = result(group, 1, found, parts).parent
    assert parent is not None
    assert (parent.content, parent.chunk_indexes, parent.tokens) == ("One.", [1], 3)


@pytest.mark.parametrize(
    ("budget", "kept", "more"),
    [(None, 3, False), (60, 3, False), (59, 2, True), (30, 2, True), (29, 1, True), (9, 0, False)],
)
def test_a_page_ends_before_the_passage_that_does_not_fit(
    budget: int | None, kept: int, more: bool
) -> None:
    keys = [(ONE, n) for n in range(3)]
    results = [passage(key).result(hit, 1) for key, hit in zip(keys, hits(*keys), strict=True)]
    page = Page(keys, results, [10, 20, 30], False, "plan").within(budget)
    assert (len(page.results), list(page.keys), page.more) == (kept, keys[:kept], more)
    assert (page.plan == "plan") == (kept == 3)
