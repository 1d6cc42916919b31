"""What goes wrong with keys and sealed texts. No message holds a key or a clear text."""

from __future__ import annotations

from greenlang_vectors.errors import GreenLangError, ItemError


class KeyUnavailable(GreenLangError):
    """The master key is missing, is another one, or cannot be used."""


class SealBroken(ItemError):
    """A sealed text was changed, comes from another row, or its data key is not known."""

    def __init__(self, message: str) -> None:
        super().__init__(
            "tampered", message, "Restore the row from a backup, or load its document again."
        )
