"""The REST interface: what a client asks as it connects, the schema, tenants, single objects."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from local.weaviate_server import rest_objects, schema
from local.weaviate_server.errors import Refused
from local.weaviate_server.exports import Exports
from local.weaviate_server.faults import Faults
from local.weaviate_server.schema import Json
from local.weaviate_server.store import Shard, Store

_OLD_NAMES = {"ACTIVE": "HOT", "INACTIVE": "COLD", "OFFLOADED": "FROZEN", None: "HOT", "": "HOT"}


class Reply(NamedTuple):
    """An HTTP status and the body as JSON, if there is one."""

    status: int
    body: Json = None


class RestApi:
    """Answers requests; a route's method takes the parts of the path, the query and the body."""

    def __init__(
        self,
        store: Store,
        faults: Faults,
        exports: Exports,
        version: str,
        api_key: str | None,
        max_message_bytes: int,
    ) -> None:
        self.store = store
        self.faults = faults
        self.exports = exports
        self.version = version
        self.api_key = api_key
        self.max_message_bytes = max_message_bytes
        name, uuid = r"(\w+)", r"([0-9a-fA-F-]{36})"
        reference = rf"/objects/{name}/{uuid}/references/{name}"
        routes: list[tuple[str, str, Callable[..., Reply]]] = [
            ("GET", "/meta", self._meta),
            ("GET", "/nodes", self._nodes),
            ("GET", f"/nodes/{name}", self._nodes),
            ("GET", "/schema", self._schema),
            ("POST", "/schema", self._create),
            ("GET", f"/schema/{name}", self._definition),
            ("PUT", f"/schema/{name}", self._redefine),
            ("DELETE", f"/schema/{name}", self._drop),
            ("POST", f"/schema/{name}/properties", self._add_property),
            ("GET", f"/schema/{name}/shards", self._shards),
            ("GET", f"/schema/{name}/tenants", self._tenants),
            ("POST", f"/schema/{name}/tenants", self._put_tenants),
            ("PUT", f"/schema/{name}/tenants", self._put_tenants),
            ("DELETE", f"/schema/{name}/tenants", self._drop_tenants),
            ("GET", rf"/schema/{name}/tenants/([^/]+)", self._tenant),
            ("HEAD", rf"/schema/{name}/tenants/([^/]+)", self._tenant),
            *(
                (verb, path, self._objects(answer))
                for verb, path, answer in (
                    ("POST", "/objects", rest_objects.insert),
                    ("POST", "/batch/references", rest_objects.add_references),
                    ("GET", "/objects", rest_objects.listed),
                    ("GET", f"/objects/{name}/{uuid}", rest_objects.get),
                    ("HEAD", f"/objects/{name}/{uuid}", rest_objects.exists),
                    ("PUT", f"/objects/{name}/{uuid}", rest_objects.replace),
                    ("PATCH", f"/objects/{name}/{uuid}", rest_objects.merge),
                    ("DELETE", f"/objects/{name}/{uuid}", rest_objects.delete),
                    ("POST", reference, rest_objects.add_reference),
                    ("PUT", reference, rest_objects.replace_references),
                    ("DELETE", reference, rest_objects.delete_reference),
                )
            ),
            ("POST", f"/export/{name}", self._export),
            ("GET", rf"/export/{name}/([\w-]+)", self._export_status),
            ("DELETE", rf"/export/{name}/([\w-]+)", self._export_cancel),
        ]
        self.routes = [(verb, re.compile(f"/v1{path}/?"), answer) for verb, path, answer in routes]

    def answer(self, verb: str, target: str, authorization: str, body: Json) -> Reply:
        """Answer a request.

        Raises:
            Refused: as a server refuses it.
        """
        url = urlsplit(target)
        path = unquote(url.path)
        query = {name: found[0] for name, found in parse_qs(url.query).items()}
        if path in {"/v1/.well-known/ready", "/v1/.well-known/live"}:
            self.faults.begin(f"{verb} ready")
            return Reply(200)
        if path == "/v1/.well-known/openid-configuration":
            return Reply(404)
        if self.api_key is not None and authorization != f"Bearer {self.api_key}":
            raise Refused(
                "unauthorized: invalid api key"
                if authorization
                else "anonymous access not enabled. Please authenticate through one of the "
                "available methods: [API-keys]",
                401,
            )
        self.faults.begin(_method(verb, path))
        for known, pattern, answer in self.routes:
            if known == verb and (found := pattern.fullmatch(path)):
                with self.store.lock:
                    return answer(*found.groups(), query, body)
        raise Refused(f"path {path} was not found", 404)

    def loses_answer(self, verb: str, target: str) -> bool:
        """Whether the answer to this request gets lost."""
        return self.faults.loses_answer(_method(verb, urlsplit(target).path))

    def _objects(self, answer: Callable[..., tuple[int, Any]]) -> Callable[..., Reply]:
        return lambda *arguments: Reply(*answer(self.store, *arguments))

    def _meta(self, _query: Json, _body: Json) -> Reply:
        meta = {
            "hostname": "http://[::]:8080",
            "modules": {},
            "version": self.version,
            "grpcMaxMessageSize": self.max_message_bytes,
        }
        return Reply(200, meta)

    def _nodes(self, *arguments: Json) -> Reply:
        only = arguments[0] if len(arguments) == 3 else None
        shards: list[dict[str, Json]] = [
            {
                "name": tenant or "shard",
                "class": collection.name,
                "objectCount": len(shard.ids),
                "vectorIndexingStatus": "READY",
                "vectorQueueLength": 0,
                "compressed": False,
                "loaded": shard.status == "HOT",
            }
            for collection, tenant, shard in self.store.everything()
            if only in {None, collection.name}
        ]
        node = {
            "name": "node1",
            "status": "HEALTHY",
            "version": self.version,
            "gitHash": "stand-in",
            "operationalMode": "ReadWrite",
            "batchStats": {"queueLength": 0, "ratePerSecond": 0},
            "stats": {
                "objectCount": sum(each["objectCount"] for each in shards),
                "shardCount": len(shards),
            },
            "shards": shards if arguments[-2].get("output") == "verbose" else None,
        }
        return Reply(200, {"nodes": [node]})

    def _schema(self, _query: Json, _body: Json) -> Reply:
        return Reply(
            200, {"classes": [each.definition for each in self.store.collections.values()]}
        )

    def _create(self, _query: Json, body: Json) -> Reply:
        return Reply(200, self.store.create(body).definition)

    def _definition(self, name: str, _query: Json, _body: Json) -> Reply:
        return Reply(200, self.store.get(name).definition)

    def _redefine(self, name: str, _query: Json, body: Json) -> Reply:
        self.store.get(name).definition = schema.completed(body)
        return Reply(200, body)

    def _drop(self, name: str, _query: Json, _body: Json) -> Reply:
        self.store.collections.pop(schema.capital(name), None)
        return Reply(200)

    def _add_property(self, name: str, _query: Json, body: Json) -> Reply:
        collection = self.store.get(name)
        added = schema.completed({"class": collection.name, "properties": [body]})["properties"]
        collection.definition["properties"] += added
        return Reply(200, added[0])

    def _shards(self, name: str, _query: Json, _body: Json) -> Reply:
        found = self.store.get(name).shards
        return Reply(
            200,
            [{"name": each or "shard", "status": "READY", "vectorQueueSize": 0} for each in found],
        )

    def _tenants(self, name: str, _query: Json, _body: Json) -> Reply:
        found = self.store.get(name).shards
        return Reply(200, [{"name": each, "activityStatus": found[each].status} for each in found])

    def _tenant(self, name: str, tenant: str, _query: Json, _body: Json) -> Reply:
        shard = self.store.get(name).shards.get(tenant)
        if shard is None:
            raise Refused(f"tenant {tenant!r} not found when it should have been", 404)
        return Reply(200, {"name": tenant, "activityStatus": shard.status})

    def _put_tenants(self, name: str, _query: Json, body: Json) -> Reply:
        collection = self.store.get(name)
        if not schema.is_multi_tenant(collection.definition):
            raise Refused(f"multi-tenancy is not enabled for class {collection.name!r}")
        for each in body:
            status = each.get("activityStatus")
            shard = collection.shards.setdefault(each["name"], Shard())
            shard.status = _OLD_NAMES.get(status, status)
        return Reply(200, body)

    def _drop_tenants(self, name: str, _query: Json, body: Json) -> Reply:
        for each in body:
            self.store.get(name).shards.pop(each, None)
        return Reply(200)

    def _export(self, backend: str, _query: Json, body: Json) -> Reply:
        return Reply(200, self.exports.create(backend, body))

    def _export_status(self, backend: str, export_id: str, _query: Json, _body: Json) -> Reply:
        return Reply(200, self.exports.status(backend, export_id))

    def _export_cancel(self, backend: str, export_id: str, _query: Json, _body: Json) -> Reply:
        self.exports.status(backend, export_id)
        raise Refused("export has already finished", 409)


class RestServer(ThreadingHTTPServer):
    """An HTTP server on a loopback port (0: any) whose connections end with it."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, api: RestApi, port: int) -> None:
        self.api = api
        self.open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)
        threading.Thread(target=self.serve_forever, args=[0.05], daemon=True).start()

    def stop(self) -> None:
        """Close the port and every connection."""
        self.shutdown()
        self.server_close()
        for each in tuple(self.open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body go out together; apart, one would wait for the other
    server: RestServer

    def setup(self) -> None:
        super().setup()
        self.server.open.add(self.connection)

    def finish(self) -> None:
        self.server.open.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, *_arguments: Json) -> None:
        """Nothing is logged."""

    def _answer(self) -> None:
        api = self.server.api
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body = json.loads(sent) if sent else None
            reply = api.answer(self.command, self.path, self.headers.get("Authorization", ""), body)
        except Refused as refused:
            shape = (
                {"code": refused.status, "message": str(refused)}
                if refused.status in {401, 404}
                else {"error": [{"message": str(refused)}]}
            )
            reply = Reply(refused.status, shape)
        if api.loses_answer(self.command, self.path):
            self.close_connection = True
            return
        content = b"" if reply.body is None else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json")
        if reply.status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815


def _method(verb: str, path: str) -> str:
    return f"{verb} {path.removeprefix('/v1/').partition('/')[0]}"
