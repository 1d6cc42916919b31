"""The embedder of each collection: a namespace's models are those of its collections."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.opening import open_embedder
from greenlang_vectors.errors import ModelUnavailable
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import collections, namespaces
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.leaves import Leaf


@dataclass(frozen=True, slots=True)
class Embedders:
    """How the embedder of a model is had.

    Attributes:
        default: the model of a namespace that has no collection yet.
        open: the embedder of a model, by name or folder; it raises ModelUnavailable.
    """

    default: str
    open: Callable[[str], Embedder]

    @classmethod
    def only(cls, embedder: Embedder) -> Embedders:
        """This embedder for every model."""
        return cls(embedder.model.spec.name, lambda _: embedder)

    def of(self, collection: Collection) -> Embedder:
        """The embedder whose vectors a collection holds.

        Raises:
            ModelUnavailable: its model is not on this machine, is another under its name, or
                is an application's.
        """
        if collection.supplied:
            raise ModelUnavailable(
                f"The vectors of the collection {collection.name} are supplied by an application; "
                "nothing can be embedded for it here.",
                "Search it, and write to it, from the application that has the model.",
            )
        embedder = self.open(collection.model_source)
        spec = embedder.model.spec
        if (spec.name, spec.dimensions) != (collection.model, collection.dimensions):
            raise ModelUnavailable(
                f"The collection {collection.name} holds {collection.dimensions} dimensions of "
                f"{collection.model}; {collection.model_source!r} is {spec.name} with "
                f"{spec.dimensions}.",
                "Create a collection for that model, or set GREENLANG_EMBEDDING_MODEL to the "
                "folder of this one.",
            )
        return embedder

    def fingerprint(self, collection: Collection) -> str:
        """What a collection's embeddings are made with now: model, weights and settings.

        Raises:
            ModelUnavailable: as of `of`.
        """
        embedder = self.of(collection)
        return embedder.model.spec.fingerprint(embedder.normalize)

    def create(
        self,
        connection: psycopg.Connection,
        namespace: str,
        model: str,
        index: IndexSettings,
        description: str | None = None,
    ) -> Collection:
        """An empty collection of a model, beside the one that serves (see `collections.create`).

        Args:
            model: by name or folder.

        Raises:
            UnknownNamespace, UsageError: it cannot be; nothing was changed.
            ModelUnavailable: the model is not on this machine.
        """
        namespaces.get(connection, namespace)
        spec = self.open(model).model.spec
        return collections.create(
            connection,
            Leaf(namespace, spec.name, spec.dimensions),
            index,
            model_source=str(spec.directory) if spec.directory and Path(model).is_dir() else model,
            max_tokens=spec.max_tokens,
            description=description,
        )

    def collections(self, connection: psycopg.Connection, namespace: str) -> list[Collection]:
        """The namespace's collections, the serving one first; the first is made if there is none.

        Those whose vectors an application supplies are left out.

        Raises:
            UnknownNamespace: it is not registered.
            ModelUnavailable: there is none, and the default model is not on this machine.
        """
        namespaces.get(connection, namespace)
        if not (found := embeddable(collections.list_all(connection, namespace))):
            spec = self.open(self.default).model.spec
            leaf = Leaf(namespace, spec.name, spec.dimensions)
            collections.ensure_first(connection, leaf, self.default)
            found = embeddable(collections.list_all(connection, namespace))
        return found


def embeddable(found: Iterable[Collection]) -> list[Collection]:
    """Those of the collections whose model is the library's own to open."""
    return [collection for collection in found if not collection.supplied]


def embedders_of(
    database: Database,
    settings: Settings,
    *,
    cache_seconds: int | None,
    normalize: bool = True,
) -> Embedders:
    """The embedders of this machine, behind the cache of the settings.

    Where the settings name the folder of a collection's model, it is opened there: a collection
    remembers the folder of the machine it was created on.

    Args:
        settings: the default model, where remote models are asked, and where the cache is.
        cache_seconds: how long the cache keeps a vector; None for no cache.
    """

    def open_(model: str) -> Embedder:
        here = settings.embedding_model
        return open_embedder(
            database,
            here if Path(here).name == Path(model).name else model,
            cache_seconds=cache_seconds,
            normalize=normalize,
            settings=settings,
        )

    return Embedders(settings.embedding_model, open_)
