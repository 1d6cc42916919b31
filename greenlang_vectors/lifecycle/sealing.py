"""Manifests as they are stored: JSON with a hash of itself, so that no changed byte goes unseen."""

from __future__ import annotations

import hashlib
import json
from typing import TypeVar

from pydantic import BaseModel, ValidationError

_Manifest = TypeVar("_Manifest", bound=BaseModel)


class SealBroken(ValueError):
    """What is stored is not what was sealed; the message says how that shows."""


def sealed(manifest: BaseModel) -> bytes:
    """A manifest as it is stored: with a hash of itself."""
    content = manifest.model_dump_json(indent=1).encode()
    return b'{"sha256": "%b", "manifest":\n%b}\n' % (
        hashlib.sha256(content).hexdigest().encode(),
        content,
    )


def sha256_of(manifest: BaseModel) -> str:
    """SHA-256 of the manifest as it is stored."""
    return hashlib.sha256(sealed(manifest)).hexdigest()


def unsealed(stored: bytes, kind: type[_Manifest]) -> _Manifest:
    """The manifest that was sealed so.

    Raises:
        SealBroken: it is altered, or no such manifest.
    """
    try:
        manifest = kind.model_validate(json.loads(stored)["manifest"])
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise SealBroken("its manifest cannot be read") from error
    if sealed(manifest) != stored:
        raise SealBroken("its manifest does not match its own hash")
    return manifest
