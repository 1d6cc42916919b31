"""Collections, tenants and objects in memory, in the order of their ids."""

from __future__ import annotations

import threading
import time
import uuid as uuid_lib
from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from local.weaviate_server import schema, values
from local.weaviate_server.errors import Refused, unknown_collection
from local.weaviate_server.schema import UNNAMED, Definition


class Vector(NamedTuple):
    """A vector as the protocol carries it: little-endian float32, bit for bit.

    Args:
        multi: several of one object, their length (uint16) before them.
    """

    data: bytes
    multi: bool = False


@dataclass(slots=True)
class StoredObject:
    """An object of a collection.

    Args:
        references: beacons by property.
        vectors: by name; the unnamed one under `schema.UNNAMED`.
        created, updated: Unix time in milliseconds.
        number: grows with every write of the collection.
        reply: the last form of its properties that was asked for, and what was asked.
    """

    id: str
    properties: dict[str, Any]
    references: dict[str, list[str]]
    vectors: dict[str, Vector]
    created: int
    updated: int
    number: int = 0
    reply: tuple[bytes, bytes] | None = None


class Sent(NamedTuple):
    """An object as it is written: properties as JSON."""

    id: str
    properties: Mapping[str, Any]
    vectors: Mapping[str, Vector] = {}
    references: Mapping[str, list[str]] = {}


class Shard:
    """The objects of one tenant, or of a collection without tenants."""

    def __init__(self, status: str = "HOT") -> None:
        self.status = status
        self.ids: list[str] = []
        self.objects: dict[str, StoredObject] = {}
        self._matrices: dict[str, tuple[list[str], NDArray[np.float32]]] = {}

    def put(self, each: StoredObject) -> None:
        """Write an object, in the place of the one with its id."""
        if each.id not in self.objects:
            if not self.ids or each.id > self.ids[-1]:
                self.ids.append(each.id)
            else:
                insort(self.ids, each.id)
        self.objects[each.id] = each
        self._matrices.clear()

    def delete(self, uuid: str) -> bool:
        """Take an object out; tell whether there was one."""
        if self.objects.pop(uuid, None) is None:
            return False
        del self.ids[bisect_right(self.ids, uuid) - 1]
        self._matrices.clear()
        return True

    def after(self, uuid: str, limit: int) -> list[StoredObject]:
        """The objects whose ids follow this one, which need not exist."""
        start = bisect_right(self.ids, uuid)
        return [self.objects[each] for each in self.ids[start : start + limit]]

    def matrix(self, name: str) -> tuple[list[str], NDArray[np.float32]]:
        """The ids that have a vector of this name, and those vectors, one a row."""
        if name not in self._matrices:
            ids = [each for each in self.ids if name in self.objects[each].vectors]
            rows = b"".join(self.objects[each].vectors[name].data for each in ids)
            matrix = np.frombuffer(rows, "<f4").reshape(len(ids), -1 if ids else 0)
            self._matrices[name] = ids, matrix
        return self._matrices[name]


@dataclass
class Collection:
    """A collection: its definition and its objects by tenant (without tenants, under "")."""

    definition: Definition
    shards: dict[str, Shard] = field(default_factory=dict)
    dimensions: dict[str, int] = field(default_factory=dict)
    writes: int = 0

    @property
    def name(self) -> str:
        """The name, with its capital."""
        return str(self.definition["class"])

    def shard(self, tenant: str) -> Shard:
        """The objects that a request of this tenant is about.

        Raises:
            Refused: a tenant is missing, superfluous, unknown or inactive.
        """
        if not schema.is_multi_tenant(self.definition):
            if tenant:
                raise Refused(
                    f"class {self.name} has multi-tenancy disabled, but request was with tenant"
                )
            return self.shards[""]
        if not tenant:
            raise Refused(
                f"class {self.name} has multi-tenancy enabled, but request was without tenant"
            )
        if tenant not in self.shards:
            if not self.definition["multiTenancyConfig"].get("autoTenantCreation"):
                raise Refused(f'tenant not found: "{tenant}"')
            self.shards[tenant] = Shard()
        found = self.shards[tenant]
        if found.status != "HOT":
            raise Refused(f"tenant not active: '{tenant}'")
        return found

    def write(self, sent: Sent, tenant: str, created: int | None = None) -> StoredObject:
        """Write an object as it was sent, in the place of the one with its id.

        Args:
            created: when the object came to be, where it is only changed.

        Raises:
            Refused: a value or a vector does not fit the collection.
        """
        shard = self.shard(tenant)
        vectors = self._vectors(sent.vectors)
        now = time.time_ns() // 1_000_000
        self.writes += 1
        stored = StoredObject(
            str(uuid_lib.UUID(sent.id)),
            self._properties(sent.properties),
            {name: list(beacons) for name, beacons in sent.references.items()},
            vectors,
            now if created is None else created,
            now,
            self.writes,
        )
        shard.put(stored)
        return stored

    def refer(self, uuid: str, name: str, beacon: str, tenant: str) -> None:
        """Let a property of an object point to one more.

        Raises:
            Refused: there is no such object or property.
        """
        known = schema.property_of(self.definition, name)
        stored = self.shard(tenant).objects.get(uuid)
        if known is None or stored is None:
            raise Refused(f"no object with id '{uuid}' and property '{name}'", 404)
        stored.references.setdefault(name, []).append(values.beacon_in_full(beacon, known))

    def _properties(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        found = {}
        for name, value in sent.items():
            if value is None:
                continue
            known = schema.property_of(self.definition, schema.small(name))
            if known is None:
                known = schema.guessed_property(name, value)
                self.definition["properties"].append(known)
            found[known["name"]] = values.kept(value, known, self.name)
        return found

    def _vectors(self, sent: Mapping[str, Vector]) -> dict[str, Vector]:
        vectors = {name: vector for name, vector in sent.items() if vector.data}
        config = self.definition.get("vectorConfig", {})
        if UNNAMED in vectors and config:
            if len(config) != 1:
                raise Refused(
                    f"collection {self.name} configuration does not have single vector index"
                )
            vectors[next(iter(config))] = vectors.pop(UNNAMED)
        if not config and "default" in vectors:
            vectors[UNNAMED] = vectors.pop("default")
        for name, vector in vectors.items():
            if name != UNNAMED and name not in config:
                raise Refused(
                    f"collection {self.name} does not have configuration for vector {name}"
                    if config
                    else f"collection {self.name} is configured without multiple named vectors, "
                    f"but received named vectors: [{name}]"
                )
            length = int.from_bytes(vector.data[:2], "little")
            if not vector.multi:
                length = len(vector.data) // 4
            known = self.dimensions.setdefault(name, length)
            if known != length:
                raise Refused(
                    f"new node has a vector with length {length}. "
                    f"Existing nodes have vectors with length {known}"
                )
        return vectors


class Store:
    """All collections. One lock guards them: hold it while reading or writing."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.collections: dict[str, Collection] = {}

    def get(self, name: str) -> Collection:
        """The collection of this name.

        Raises:
            Refused: there is none.
        """
        found = self.collections.get(schema.capital(name))
        if found is None:
            raise unknown_collection(name)
        return found

    def create(self, given: Definition) -> Collection:
        """Make a collection.

        Raises:
            Refused: there is one of this name.
        """
        made = Collection(schema.completed(given))
        if made.name in self.collections:
            raise Refused(f"class name {made.name} already exists")
        if not schema.is_multi_tenant(made.definition):
            made.shards[""] = Shard()
        self.collections[made.name] = made
        return made

    def for_writing(self, name: str) -> Collection:
        """The collection of this name, which the server makes if it has to (auto schema)."""
        if schema.capital(name) not in self.collections:
            return self.create({"class": name})
        return self.get(name)

    def referred(self, beacon: str) -> tuple[Collection, StoredObject] | None:
        """What a beacon points to, if it is still there."""
        name, _, uuid = beacon.removeprefix(values.BEACON).rpartition("/")
        if collection := self.collections.get(name):
            for shard in collection.shards.values():
                if found := shard.objects.get(uuid):
                    return collection, found
        return None

    def put_all(self, name: str, objects: Iterable[Sent], tenant: str = "") -> int:
        """Write many objects; return how many."""
        with self.lock:
            collection = self.for_writing(name)
            before = collection.writes
            for each in objects:
                collection.write(each, tenant)
            return collection.writes - before

    def everything(self) -> Iterator[tuple[Collection, str, Shard]]:
        """Each collection's tenants and their objects."""
        for collection in self.collections.values():
            for tenant, shard in collection.shards.items():
                yield collection, tenant, shard
