"""The gRPC service `weaviate.v1.Weaviate`, and the health that a client asks for as it connects."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import grpc
from google.protobuf.message import Message
from weaviate.proto.v1 import (
    aggregate_pb2,
    batch_delete_pb2,
    batch_pb2,
    health_weaviate_pb2,
    search_get_pb2,
    tenants_pb2,
)

from local.weaviate_server import filters, replies, schema, search, values
from local.weaviate_server.errors import Refused, not_answered
from local.weaviate_server.faults import Faults, Page
from local.weaviate_server.relay import Relay
from local.weaviate_server.schema import UNNAMED
from local.weaviate_server.store import Sent, Store, Vector

SERVICE = "weaviate.v1.Weaviate"
WORKERS = 32


class WeaviateService:
    """Answers the calls; each is a method that takes the request and returns the reply's bytes.

    Args:
        max_message_bytes: no answer is longer.
        relay: what stands before this server, if anything does.
    """

    def __init__(
        self,
        store: Store,
        faults: Faults,
        api_key: str | None,
        max_message_bytes: int,
        relay: Relay | None,
    ) -> None:
        self.store = store
        self.faults = faults
        self.api_key = api_key
        self.max_message_bytes = max_message_bytes
        self.relay = relay

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """What a `grpc.Server` is given."""
        unary: dict[str, tuple[Callable[[Any], bytes], Any]] = {
            "Search": (self.search, search_get_pb2.SearchRequest),
            "Aggregate": (self.aggregate, aggregate_pb2.AggregateRequest),
            "BatchObjects": (self.batch_objects, batch_pb2.BatchObjectsRequest),
            "BatchReferences": (self.batch_references, batch_pb2.BatchReferencesRequest),
            "BatchDelete": (self.batch_delete, batch_delete_pb2.BatchDeleteRequest),
            "TenantsGet": (self.tenants_get, tenants_pb2.TenantsGetRequest),
        }
        methods = {
            name: grpc.unary_unary_rpc_method_handler(
                self._unary(name, answer), request_deserializer=request.FromString
            )
            for name, (answer, request) in unary.items()
        }
        methods["BatchStream"] = grpc.stream_stream_rpc_method_handler(
            self.batch_stream,
            request_deserializer=batch_pb2.BatchStreamRequest.FromString,
            response_serializer=batch_pb2.BatchStreamReply.SerializeToString,
        )
        health = grpc.unary_unary_rpc_method_handler(
            lambda _request, _context: health_weaviate_pb2.WeaviateHealthCheckResponse(
                status=health_weaviate_pb2.WeaviateHealthCheckResponse.SERVING
            ).SerializeToString()
        )
        return (
            grpc.method_handlers_generic_handler(SERVICE, methods),
            grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": health}),
        )

    def _unary(
        self, name: str, answer: Callable[[Any], bytes]
    ) -> Callable[[Message, grpc.ServicerContext], bytes]:
        def call(request: Message, context: grpc.ServicerContext) -> bytes:
            try:
                self._authorize(context)
                self.faults.begin(name)
                reply = answer(request)
            except Refused as refused:
                _abort(context, refused)
            if len(reply) > self.max_message_bytes:
                context.abort(
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    "grpc: trying to send message larger than max "
                    f"({len(reply)} vs. {self.max_message_bytes})",
                )
            if self.faults.loses_answer(name):
                context.abort(grpc.StatusCode.UNAVAILABLE, "error reading from server: EOF")
            if (after := self.faults.cuts(name)) is not None and self.relay is not None:
                self.relay.cut(int(context.peer().rpartition(":")[2]), after)
            return reply

        return call

    def _authorize(self, context: grpc.ServicerContext) -> None:
        if self.api_key is None:
            return
        sent = dict(context.invocation_metadata()).get("authorization", "")
        if sent != f"Bearer {self.api_key}":
            why = "invalid api key" if sent else "anonymous access not enabled"
            raise Refused(
                f"extract auth: unauthorized: {why}", 401, grpc.StatusCode.UNAUTHENTICATED
            )

    def search(self, request: search_get_pb2.SearchRequest) -> bytes:
        """Find objects and return of them what was asked for."""
        started = time.perf_counter()
        is_page = not (
            request.HasField("near_vector")
            or request.HasField("near_object")
            or request.HasField("filters")
        )
        if is_page:
            self.faults.begin_page()
        with self.store.lock:
            collection = self.store.get(request.collection)
            properties = request.properties if request.HasField("properties") else None
            want = replies.asked(self.store, collection, properties, request.metadata)
            found = search.find(collection, collection.shard(request.tenant), request)
            reply = replies.reply(self.store, want, found, time.perf_counter() - started)
        if is_page:
            ids = tuple(each.id for each in found if not isinstance(each, replies.Near))
            self.faults.end_page(Page(collection.name, request.tenant, request.after, ids))
        return reply

    def aggregate(self, request: aggregate_pb2.AggregateRequest) -> bytes:
        """Count objects."""
        if request.aggregations or request.HasField("group_by") or request.WhichOneof("search"):
            raise not_answered("an aggregation other than a count")
        with self.store.lock:
            collection = self.store.get(request.collection)
            shard = collection.shard(request.tenant)
            count = (
                len(filters.matching(collection, shard, request.filters))
                if request.HasField("filters")
                else len(shard.ids)
            )
        single = aggregate_pb2.AggregateReply.Single(
            objects_count=count if request.objects_count else None
        )
        return replies.serialised(aggregate_pb2.AggregateReply(single_result=single))

    def batch_objects(self, request: batch_pb2.BatchObjectsRequest) -> bytes:
        """Write objects; those that do not fit are named with the reason."""
        reply = batch_pb2.BatchObjectsReply()
        with self.store.lock:
            for index, each in enumerate(request.objects):
                if error := self._put(each):
                    reply.errors.add(index=index, error=error)
        return replies.serialised(reply)

    def batch_references(self, request: batch_pb2.BatchReferencesRequest) -> bytes:
        """Add references to objects."""
        reply = batch_pb2.BatchReferencesReply()
        with self.store.lock:
            for index, each in enumerate(request.references):
                if error := self._refer(each):
                    reply.errors.add(index=index, error=error)
        return replies.serialised(reply)

    def batch_stream(
        self, requests: Iterable[batch_pb2.BatchStreamRequest], context: grpc.ServicerContext
    ) -> Iterator[batch_pb2.BatchStreamReply]:
        """Write what comes in, until the sender stops (from 1.36 on)."""
        message = batch_pb2.BatchStreamReply
        incoming = iter(requests)
        try:
            self._authorize(context)
            self.faults.begin("BatchStream")
            _expect_start(next(incoming))
            yield message(started=message.Started())
            for request in incoming:
                if request.HasField("stop"):
                    return
                objects = request.data.objects.values
                references = [(_beacon(each), each) for each in request.data.references.values]
                yield message(
                    acks=message.Acks(
                        uuids=[each.uuid for each in objects],
                        beacons=[beacon for beacon, _ in references],
                    )
                )
                results = message.Results()
                with self.store.lock:
                    for each in objects:
                        if error := self._put(each):
                            results.errors.add(error=error, uuid=each.uuid)
                        else:
                            results.successes.add(uuid=each.uuid)
                    for beacon, reference in references:
                        if error := self._refer(reference):
                            results.errors.add(error=error, beacon=beacon)
                        else:
                            results.successes.add(beacon=beacon)
                yield message(results=results)
        except Refused as refused:
            _abort(context, refused)

    def batch_delete(self, request: batch_delete_pb2.BatchDeleteRequest) -> bytes:
        """Delete the objects that a filter matches."""
        if not request.HasField("filters"):
            raise Refused("batch delete params: no filters in batch delete request")
        with self.store.lock:
            collection = self.store.get(request.collection)
            shard = collection.shard(request.tenant)
            found = filters.matching(collection, shard, request.filters)[: search.MAXIMUM_RESULTS]
            if not request.dry_run:
                for each in found:
                    shard.delete(each.id)
        reply = batch_delete_pb2.BatchDeleteReply(matches=len(found), successful=len(found))
        if request.verbose:
            for each in found:
                reply.objects.add(uuid=uuid.UUID(each.id).bytes, successful=True, error="")
        return replies.serialised(reply)

    def tenants_get(self, request: tenants_pb2.TenantsGetRequest) -> bytes:
        """The tenants of a collection, or those of them that are named."""
        reply = tenants_pb2.TenantsGetReply()
        with self.store.lock:
            collection = self.store.get(request.collection)
            if not schema.is_multi_tenant(collection.definition):
                raise Refused(
                    f"get tenants: multi-tenancy is not enabled for class {collection.name!r}"
                )
            named = request.names.values if request.HasField("names") else collection.shards
            for name in named:
                if shard := collection.shards.get(name):
                    reply.tenants.add(
                        name=name, activity_status=f"TENANT_ACTIVITY_STATUS_{shard.status}"
                    )
        return replies.serialised(reply)

    def _put(self, sent: batch_pb2.BatchObject) -> str:
        """Write an object of a batch; return what is wrong with it, if anything is."""
        try:
            collection = self.store.for_writing(sent.collection)
            vectors = {
                each.name: Vector(each.vector_bytes, each.type == each.VECTOR_TYPE_MULTI_FP32)
                for each in sent.vectors
            }
            if sent.vector_bytes:
                vectors[UNNAMED] = Vector(sent.vector_bytes)
            references = values.references_from_batch(sent.properties, collection.definition)
            collection.write(
                Sent(sent.uuid, values.from_batch(sent.properties), vectors, references),
                sent.tenant,
            )
        except Refused as refused:
            return str(refused)
        except ValueError:
            return f"invalid UUID length: {len(sent.uuid)}"
        return ""

    def _refer(self, sent: batch_pb2.BatchReference) -> str:
        """Add a reference of a batch; return what is wrong with it, if anything is."""
        target = f"{sent.to_collection}/" if sent.to_collection else ""
        try:
            self.store.get(sent.from_collection).refer(
                sent.from_uuid, sent.name, f"{values.BEACON}{target}{sent.to_uuid}", sent.tenant
            )
        except Refused as refused:
            return str(refused)
        return ""


def serve(service: WeaviateService, port: int, max_message_bytes: int) -> tuple[grpc.Server, int]:
    """Start a gRPC server on this loopback port (0: any); return it and its port."""
    server = grpc.server(
        ThreadPoolExecutor(WORKERS, thread_name_prefix="weaviate-grpc"),
        handlers=service.handlers(),
        options=[
            ("grpc.so_reuseport", 0),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", max_message_bytes),
        ],
    )
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server, bound


def _abort(context: grpc.ServicerContext, refused: Refused) -> NoReturn:
    context.abort(refused.code, str(refused))
    raise AssertionError("abort raises")


def _expect_start(first: batch_pb2.BatchStreamRequest) -> None:
    if not first.HasField("start"):
        raise Refused("first message must be a start message")


def _beacon(sent: batch_pb2.BatchReference) -> str:
    return f"{values.BEACON}{sent.from_collection}/{sent.from_uuid}/{sent.name}"
