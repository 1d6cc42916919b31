"""Derived identities are UUIDs of version 5, so that anyone can derive them."""

from __future__ import annotations

from uuid import UUID, uuid5

from greenlang_vectors.store.identity import derived_id

SPACE = UUID("6d4f1f4e-6c1b-5b57-9d5a-4d0c1f5e7a11")


def test_an_identity_is_a_uuid_of_version_5_over_its_parts() -> None:
    identity = derived_id("document", "csrd", "file", "Übersicht.pdf", 7)
    assert identity == uuid5(SPACE, "document\x1fcsrd\x1ffile\x1fÜbersicht.pdf\x1f7")
    assert identity.version == 5
