"""Documents of a namespace that say nearly the same; nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass

from greenlang_vectors.documents.likeness import Signature, bands, likeness, signature
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.store import documents, namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.encryption.data_keys import cipher_of

PAGE = 200
"""Documents read at once."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A document that says nearly what another says.

    Attributes:
        document, of: their keys in their sources; of several that are alike `of` is the first.
        likeness: about what share of their runs of four words they have in common.
        same: their texts are equal.
    """

    document: str
    of: str
    likeness: float
    same: bool


def near_duplicates(
    database: Database, name: str, *, threshold: float, progress: Progress = silent
) -> list[Copy]:
    """The documents that are alike, the most alike first; each is told once, of the first like it.

    Every text is read, a page of documents at a time; a kilobyte of each stays in memory.

    Args:
        threshold: the least likeness that counts.

    Raises:
        UnknownNamespace: it is not registered.
        KeyUnavailable, SealBroken: the namespace is encrypted, and its texts cannot be opened.
    """
    found: list[Copy] = []
    signatures: list[tuple[str, str, Signature]] = []
    by_band: dict[tuple[int, bytes], list[int]] = {}
    with database.connect() as connection:
        namespaces.get(connection, name)
        cipher = cipher_of(connection, name)
        total, _ = documents.totals(connection, name)
        for done, (key, text_hash, text) in enumerate(
            documents.texts(connection, name, cipher, page=PAGE), start=1
        ):
            own = signature(text)
            keys = list(enumerate(bands(own)))
            candidates = {i for each in keys for i in by_band.get(each, ())}
            best = max(((likeness(own, signatures[i][2]), -i) for i in candidates), default=(0, 0))
            if best[0] >= threshold:
                first, first_hash, _ = signatures[-best[1]]
                found.append(Copy(key, first, round(best[0], 3), text_hash == first_hash))
            else:
                for each in keys:
                    by_band.setdefault(each, []).append(len(signatures))
                signatures.append((key, text_hash, own))
            progress(done, max(done, total), "documents")
    return sorted(found, key=lambda copy: (-copy.likeness, copy.document))
