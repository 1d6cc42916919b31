"""What is remembered is had at once; looking it up anew happens beside whoever asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from greenlang_vectors.migration import remembered
from greenlang_vectors.migration.remembered import Remembered


class Source:
    """Counts how often it is looked up; may be slow, or fail."""

    def __init__(self) -> None:
        self.count = 0
        self.fails = False
        self.open = threading.Event()
        self.open.set()

    def look_up(self) -> int:
        self.count += 1
        self.open.wait(5)
        if self.fails:
            raise ValueError("it is down")
        return self.count


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def eventually(known: Remembered[int], value: int) -> None:
    until = time.monotonic() + 5
    while known.get() != value:
        assert time.monotonic() < until
        time.sleep(0.005)


def test_it_is_looked_up_once_in_its_time(executor: ThreadPoolExecutor) -> None:
    source = Source()
    known = Remembered(source.look_up, executor, fresh=60, stale=600)
    assert {known.get() for _ in range(1000)} == {1}
    assert source.count == 1


def test_nobody_waits_while_it_is_looked_up_anew(executor: ThreadPoolExecutor) -> None:
    source = Source()
    known = Remembered(source.look_up, executor, fresh=0, stale=600)
    assert known.get() == 1
    source.open.clear()
    began = time.perf_counter()
    assert {known.get() for _ in range(1000)} == {1}
    assert time.perf_counter() - began < 1
    assert source.count == 2, "one at a time"
    source.open.set()
    eventually(known, 3)


def test_what_is_stale_is_not_given(executor: ThreadPoolExecutor) -> None:
    source = Source()
    known = Remembered(source.look_up, executor, fresh=0, stale=0)
    assert [known.get() for _ in range(3)] == [1, 2, 3]


def test_what_is_known_stays_while_it_cannot_be_looked_up(
    executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "RETRY_SECONDS", 0)
    source = Source()
    known = Remembered(source.look_up, executor, fresh=0, stale=0)
    assert known.get() == 1
    source.fails = True
    assert known.get() == 1
    source.fails = False
    assert known.get() == 3


def test_what_was_never_had_fails_and_is_not_tried_again_at_once(
    executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "RETRY_SECONDS", 0.2)
    source = Source()
    source.fails = True
    known = Remembered(source.look_up, executor, fresh=60, stale=600)
    for _ in range(3):
        with pytest.raises(ValueError, match="it is down"):
            known.get()
    assert source.count == 1
    source.fails = False
    time.sleep(0.25)
    assert known.get() == 2
