"""What `make run` prints while it works, where the output is no terminal."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from rich.console import Console

from local import screen
from local.screen import Screen


def context(namespace: str, stage: str) -> Any:  # noqa: ANN401
    return SimpleNamespace(partition_key=namespace, asset_key=dg.AssetKey(stage))


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=120)


def lines(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_each_stage_leaves_one_line_when_it_ends(console: Console) -> None:
    shown = Screen(console)
    with shown.showing():
        report = shown.listener(context("csrd", "documents"))
        report(1, 3, "files")
        report(3, 3, "files")
        assert lines(console) == []
        shown.listener(context("csrd", "chunks"))
        shown.end_stage()
        shown.end_stage()
    documents, chunks = lines(console)
    assert documents.split()[:6] == ["csrd", "documents", "3", "of", "3", "files"]
    assert documents.endswith(" s")
    assert chunks.split()[:2] == ["csrd", "chunks"]


def test_a_long_stage_says_now_and_then_how_far_it_is(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screen, "SECONDS_BETWEEN_LINES", 0)
    shown = Screen(console)
    report = shown.listener(context("csrd", "embeddings"))
    report(1000, 2000, "chunks")
    assert "1,000 of 2,000 chunks" in lines(console)[0]
    report(2000, 2000, "chunks")
    assert len(lines(console)) == 1
    shown.end_stage()
    assert "2,000 of 2,000 chunks" in lines(console)[1]
