"""What every way to people has in common: a name, and a message brought or not."""

from __future__ import annotations

from typing import Protocol

from greenlang_vectors.errors import GreenLangError
from greenlang_vectors.notifications.message import Notification


class NotDelivered(GreenLangError):
    """A channel did not take a message. It never says a URL, a password or a key.

    Args:
        passing: another try may help.
        wait: seconds until it is welcome, where the other side says so.
    """

    def __init__(
        self, message: str, remedy: str = "", *, passing: bool = False, wait: float | None = None
    ) -> None:
        super().__init__(message, remedy)
        self.passing = passing
        self.wait = wait


class Channel(Protocol):
    """One way to people."""

    @property
    def name(self) -> str:
        """How it is called in logs and tables."""

    def send(self, notification: Notification) -> str:
        """Bring a message; return what the other side answered.

        Raises:
            NotDelivered: it did not take it.
        """
