"""What can go wrong between here and a Weaviate server."""

from __future__ import annotations

from greenlang_vectors.errors import GreenLangError, ItemError


class WeaviateUnavailable(GreenLangError):
    """The server cannot be reached, or does not let us in: run again when that is mended.

    Args:
        passing: another try may help at once.
    """

    def __init__(self, message: str, remedy: str = "", *, passing: bool = False) -> None:
        super().__init__(message, remedy)
        self.passing = passing


class WeaviateRefused(ItemError):
    """The server refuses a request for good.

    Args:
        place: the server.
        words: its own.
    """

    def __init__(self, place: str, words: str) -> None:
        super().__init__(
            "refused",
            f"Weaviate at {place} refuses: {words.rstrip('.')}.",
            "Mend what it names, then run again.",
        )


class MessageTooLarge(WeaviateRefused):
    """What was asked for is more than one message holds."""
