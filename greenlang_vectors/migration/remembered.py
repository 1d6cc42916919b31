"""What is looked up now and then, beside whoever asks for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Generic, TypeVar

T = TypeVar("T")

RETRY_SECONDS = 1.0
"""How long nobody tries again after looking up has failed."""


class Remembered(Generic[T]):
    """A value of a moment ago; safe to call from several threads.

    Whoever asks gets it at once. Where it is older than `fresh` seconds it is looked up anew in
    another thread; he waits only the first time, and where nobody has asked for `stale` seconds.
    If it cannot be looked up, the one that is known stays.

    Args:
        look_up: may raise any error.
        executor: where it is looked up.
    """

    def __init__(
        self, look_up: Callable[[], T], executor: Executor, *, fresh: float, stale: float
    ) -> None:
        self._look_up = look_up
        self._executor = executor
        self._fresh = fresh
        self._stale = stale
        self._known: list[T] = []
        self._tried_at = float("-inf")
        self._again_at = float("-inf")
        self._error: Exception | None = None
        self._looking = threading.Lock()

    def get(self) -> T:
        """The value.

        Raises:
            Exception: none was ever had, and looking it up failed with this a moment ago.
        """
        now = time.monotonic()
        if not self._known or now - self._tried_at > self._stale:
            with self._looking:
                if time.monotonic() >= self._again_at:
                    self._refresh()
            if self._error is not None and not self._known:
                raise self._error.with_traceback(None)
        elif now >= self._again_at and self._looking.acquire(blocking=False):
            try:
                self._executor.submit(self._refresh_beside)
            except RuntimeError:  # the process ends
                self._looking.release()
        return self._known[0]

    def _refresh(self) -> None:
        try:
            self._known[:] = [self._look_up()]
            wait = self._fresh
        except Exception as error:  # noqa: BLE001 - whoever asks is told
            self._error, wait = error, RETRY_SECONDS
        self._tried_at = time.monotonic()
        self._again_at = self._tried_at + wait

    def _refresh_beside(self) -> None:
        try:
            self._refresh()
        finally:
            self._looking.release()
