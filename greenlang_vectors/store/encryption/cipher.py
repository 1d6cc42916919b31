"""Sealed texts: AES-256-GCM with the place of a text bound into it.

A sealed text is `glv1:<data key id>:<base64 of nonce, ciphertext, tag>`, so that it fits wherever
the clear text did. The nonce is random (96 bits: one data key is good for 2^32 texts, NIST
SP 800-38D 8.3). The associated data are the version, the data key, the namespace, table, row and
column: a sealed text that is moved elsewhere does not open. An older sealed text of the same
place does; its content hash tells.
"""

from __future__ import annotations

import json
import os
from base64 import b64encode
from binascii import Error as NotBase64
from binascii import a2b_base64
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.store.encryption.errors import SealBroken

VERSION = "glv1"
KEY_ID_DIGITS = 16
MARK_LENGTH = len(VERSION) + KEY_ID_DIGITS + 2
_PREFIX = f"{VERSION}:"
_NONCE_BYTES = 12
_TAG_BYTES = 16


class Place(NamedTuple):
    """Where a text belongs.

    Attributes:
        row: the document's id, and for passages "/" and the chunk's index.
    """

    table: str
    row: str
    column: str

    def __str__(self) -> str:
        document, _, chunk = self.row.partition("/")
        whose = f"chunk {chunk} of document {document}" if chunk else f"document {document}"
        return f"{self.column} of {whose} in {self.table}"


def mark(key_id: str) -> str:
    """What every text sealed with this data key begins with, `MARK_LENGTH` characters."""
    return f"{_PREFIX}{key_id}:"


def sealed_length(utf8_bytes: int) -> int:
    """Characters of the sealed form of a text of this many bytes."""
    return MARK_LENGTH + -(-(_NONCE_BYTES + utf8_bytes + _TAG_BYTES) // 3) * 4


class Cipher:
    """Seals and opens the texts of one namespace.

    Args:
        key_id: the data key that seals.
        unwrap: gives a data key of the namespace by its id, 32 bytes; KeyError for another.
        metadata_keys: metadata whose values are sealed.
        accepts_clear: whether a text that is not sealed is let through, as it must be while a
            filled namespace is being encrypted.

    Raises:
        KeyUnavailable: the data key cannot be unwrapped.
    """

    def __init__(
        self,
        namespace: str,
        key_id: str,
        unwrap: Callable[[str], bytes],
        *,
        metadata_keys: frozenset[str] = frozenset(),
        accepts_clear: bool = False,
    ) -> None:
        self.namespace = namespace
        self.key_id = key_id
        self.metadata_keys = metadata_keys
        self._accepts_clear = accepts_clear
        self._unwrap = unwrap
        self._opened = {key_id: AESGCM(unwrap(key_id))}
        self._mark = mark(key_id)

    def __repr__(self) -> str:
        return f"Cipher({self.namespace!r}, {self.key_id!r})"

    def seal(self, place: Place, text: str) -> str:
        """The sealed form of a text."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._opened[self.key_id].encrypt(
            nonce, text.encode(), self._associated(self.key_id, place)
        )
        return self._mark + b64encode(nonce + sealed).decode("ascii")

    def open(self, place: Place, sealed: str) -> str:
        """The text that was sealed for this place.

        Raises:
            SealBroken: it is not that text.
            KeyUnavailable: its data key cannot be unwrapped.
        """
        if not sealed.startswith(_PREFIX):
            if self._accepts_clear:
                return sealed
            raise SealBroken(f"The {place} is not sealed.")
        key_id = sealed[len(_PREFIX) : MARK_LENGTH - 1]
        body = sealed[MARK_LENGTH:]
        try:
            raw = a2b_base64(body, strict_mode=True)
            canonical = sealed[MARK_LENGTH - 1] == ":" and b64encode(raw).decode() == body
            if not canonical or len(raw) < _NONCE_BYTES + _TAG_BYTES:
                raise SealBroken(f"The {place} is not a sealed text.")
            return (
                self._key(key_id)
                .decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], self._associated(key_id, place))
                .decode()
            )
        except KeyError:
            raise SealBroken(
                f"The {place} is sealed with a data key {self.namespace} does not have."
            ) from None
        except (NotBase64, ValueError, IndexError):
            raise SealBroken(f"The {place} is not a sealed text.") from None
        except InvalidTag:
            raise SealBroken(
                f"The {place} was changed, or belongs to another row, column or namespace."
            ) from None

    def seal_json(self, place: Place, value: JSON) -> str:
        """The sealed form of a JSON value."""
        return self.seal(place, json.dumps(value, ensure_ascii=False))

    def open_json(self, place: Place, sealed: JSON) -> JSON:
        """The JSON value that was sealed for this place.

        Raises:
            SealBroken, KeyUnavailable: see `open`.
        """
        if isinstance(sealed, str) and sealed.startswith(_PREFIX):
            value: JSON = json.loads(self.open(place, sealed))
            return value
        if not self._accepts_clear:
            raise SealBroken(f"The {place} is not sealed.")
        return sealed

    def seal_list(self, place: Place, values: Sequence[str]) -> list[str]:
        """A list of texts, sealed as the only element of a list; an empty one stays empty."""
        return [self.seal_json(place, list(values))] if values else []

    def open_list(self, place: Place, sealed: Sequence[str]) -> list[str]:
        """The list that was sealed for this place.

        Raises:
            SealBroken, KeyUnavailable: see `open`.
        """
        if len(sealed) == 1 and sealed[0].startswith(_PREFIX):
            values: list[str] = json.loads(self.open(place, sealed[0]))
            return values
        if sealed and not self._accepts_clear:
            raise SealBroken(f"The {place} is not sealed.")
        return list(sealed)

    def seal_metadata(self, place: Place, metadata: Mapping[str, JSON]) -> dict[str, JSON]:
        """The metadata with the values of the chosen keys sealed."""
        return {
            key: self.seal_json(_entry(place, key), value) if key in self.metadata_keys else value
            for key, value in metadata.items()
        }

    def open_metadata(self, place: Place, metadata: Mapping[str, JSON]) -> dict[str, JSON]:
        """The metadata with the values of the chosen keys opened.

        Raises:
            SealBroken, KeyUnavailable: see `open`.
        """
        return {
            key: self.open_json(_entry(place, key), value) if key in self.metadata_keys else value
            for key, value in metadata.items()
        }

    def _key(self, key_id: str) -> AESGCM:
        if key_id not in self._opened:
            self._opened[key_id] = AESGCM(self._unwrap(key_id))
        return self._opened[key_id]

    def _associated(self, key_id: str, place: Place) -> bytes:
        return "\0".join((VERSION, key_id, self.namespace, *place)).encode()


def _entry(place: Place, key: str) -> Place:
    return place._replace(column=f"{place.column} {key!r}")
