"""Starting and stopping the stand-in, in this process or in one of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self, cast

import grpc
from weaviate.proto.v1 import search_get_pb2

from local.weaviate_server import grpc_api, replies, schema
from local.weaviate_server.exports import Exports
from local.weaviate_server.faults import Change, Counted, Faults
from local.weaviate_server.relay import Relay
from local.weaviate_server.rest_api import RestApi, RestServer
from local.weaviate_server.schema import Definition
from local.weaviate_server.store import Sent, Shard, Store, Vector

VERSION = "1.37.2"
MAX_MESSAGE_BYTES = 104_858_000
_SECONDS_TO_STOP = 5.0


@dataclass(frozen=True)
class Options:
    """How a server runs; see `WeaviateServer`."""

    version: str
    api_key: str | None
    max_message_bytes: int
    exports: Path | None
    relayed: bool
    http_port: int
    grpc_port: int


class Control:
    """The server's own entrance, for what no client can do: load fast, count, cause faults."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._store = Store()
        self._faults = Faults(self._store)
        self._exports = Exports(self._store, options.exports)
        self._grpc: grpc.Server | None = None
        self._rest: RestServer | None = None
        self._relay: Relay | None = None

    def listen(self) -> tuple[int, int]:
        """Open the ports; return the HTTP and the gRPC one. They stay the same from then on."""
        options = self._options
        self._relay = Relay(options.grpc_port) if options.relayed else None
        service = grpc_api.WeaviateService(
            self._store, self._faults, options.api_key, options.max_message_bytes, self._relay
        )
        self._grpc, grpc_port = grpc_api.serve(
            service, 0 if self._relay else options.grpc_port, options.max_message_bytes
        )
        if self._relay:
            self._relay.start(grpc_port)
            grpc_port = self._relay.port
        api = RestApi(
            self._store,
            self._faults,
            self._exports,
            options.version,
            options.api_key,
            options.max_message_bytes,
        )
        self._rest = RestServer(api, options.http_port)
        http_port = self._rest.server_port
        self._options = replace(options, http_port=http_port, grpc_port=grpc_port)
        return http_port, grpc_port

    def hang_up(self) -> None:
        """Close the ports and every connection; the objects stay."""
        if self._relay:
            self._relay.stop()
        if self._grpc:
            self._grpc.stop(grace=None).wait(_SECONDS_TO_STOP)
        if self._rest:
            self._rest.stop()
        self._relay = self._grpc = self._rest = None

    def create(self, definition: Definition, tenants: Sequence[str] = ()) -> None:
        """Make a collection from its JSON, with these tenants."""
        with self._store.lock:
            collection = self._store.create(definition)
            collection.shards.update({tenant: Shard() for tenant in tenants})

    def put(self, collection: str, objects: Sequence[Sent], tenant: str = "") -> int:
        """Write objects; return how many."""
        return self._store.put_all(collection, objects, tenant)

    def delete(self, collection: str, ids: Sequence[str], tenant: str = "") -> None:
        """Take objects out."""
        self._faults.apply(Change(collection, delete=ids, tenant=tenant))

    def ids(self, collection: str, tenant: str = "") -> list[str]:
        """The ids of a collection, in order."""
        with self._store.lock:
            return list(self._store.get(collection).shard(tenant).ids)

    def vectors(self, collection: str, uuid: str, tenant: str = "") -> dict[str, Vector]:
        """An object's vectors by name, bit for bit; the unnamed one under ""."""
        with self._store.lock:
            return dict(self._store.get(collection).shard(tenant).objects[uuid].vectors)

    def definition(self, collection: str) -> Definition:
        """A collection's definition, as the server has completed it."""
        with self._store.lock:
            return schema.completed(self._store.get(collection).definition)

    def prepare(self, collection: str, tenant: str = "") -> None:
        """Make the replies ready for who will ask for all properties, as a benchmark does."""
        with self._store.lock:
            found = self._store.get(collection)
            want = replies.asked(self._store, found, None, search_get_pb2.MetadataRequest())
            replies.reply(self._store, want, found.shard(tenant).objects.values(), took=0.0)

    def counted(self) -> Counted:
        """What was counted since `forget`."""
        return self._faults.counted

    def forget(self) -> Counted:
        """Begin to count anew; return what was counted."""
        return self._faults.forget()

    def unavailable(
        self, calls: int = 0, seconds: float = 0.0, methods: Sequence[str] = ()
    ) -> None:
        """See `Faults.unavailable`."""
        self._faults.unavailable(calls, seconds, methods)

    def lose_answers(self, calls: int, methods: Sequence[str] = ()) -> None:
        """See `Faults.lose_answers`."""
        self._faults.lose_answers(calls, methods)

    def cut(self, after_bytes: int, calls: int = 1, methods: Sequence[str] = ("Search",)) -> None:
        """See `Faults.cut`."""
        self._faults.cut(after_bytes, calls, methods)

    def slow(self, seconds: float, method: str = "Search") -> None:
        """See `Faults.slow`."""
        self._faults.slow(seconds, method)

    def at_page(self, page: int, change: Change) -> None:
        """See `Faults.at_page`."""
        self._faults.at_page(page, change)

    def heal(self) -> None:
        """Let everything work again."""
        self._faults.clear()


class WeaviateServer:
    """A stand-in for a Weaviate server on loopback; a context manager.

    Args:
        process: run it in a process of its own, which shares no interpreter lock with the caller
            and ends with it.
        version: what it calls itself; a client does more with newer ones (BatchStream from 1.36).
        api_key: what a request must carry, if anything.
        max_message_bytes: the longest gRPC message it sends or takes.
        exports: the folder of the backend `filesystem`; without it, exports are disabled.
        relayed: let gRPC pass a relay, so that `Control.cut` can close a connection.
        http_port, grpc_port: 0 for any that is free.
    """

    def __init__(
        self,
        *,
        process: bool = False,
        version: str = VERSION,
        api_key: str | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        exports: Path | None = None,
        relayed: bool = False,
        http_port: int = 0,
        grpc_port: int = 0,
    ) -> None:
        options = Options(
            version, api_key, max_message_bytes, exports, relayed, http_port, grpc_port
        )
        self._remote = _Remote(options) if process else None
        self.control = cast(Control, self._remote) if self._remote else Control(options)
        self.http_port, self.grpc_port = http_port, grpc_port

    @property
    def url(self) -> str:
        """The URL of the REST interface."""
        return f"http://127.0.0.1:{self.http_port}"

    def start(self) -> Self:
        """Open the ports; after `stop`, the same ones over the same objects."""
        self.http_port, self.grpc_port = self.control.listen()
        return self

    def stop(self) -> None:
        """Close the ports, as a server that goes down; the objects stay."""
        self.control.hang_up()

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        if self._remote:
            self._remote.end()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exception: object) -> None:
        self.close()


class _Remote:
    """A `Control` in a process of its own: its methods, called over a pipe."""

    def __init__(self, options: Options) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, options), daemon=True)
        self._process.start()
        theirs.close()

    def __getattr__(self, name: str) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            self._pipe.send((name, arguments, named))
            answer = self._pipe.recv()
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    def end(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(_SECONDS_TO_STOP)


def _serve(pipe: Connection, options: Options) -> None:
    control = Control(options)
    while True:
        try:
            name, arguments, named = pipe.recv()
        except EOFError:
            return
        try:
            answer = getattr(control, name)(*arguments, **named)
        except Exception as error:  # noqa: BLE001 - the caller is told, in its process
            answer = error
        pipe.send(answer)
