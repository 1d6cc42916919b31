"""The official client connects to the stand-in as it connects to a server."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import httpx
import pytest
import weaviate
from weaviate import WeaviateClient
from weaviate.classes.init import Auth
from weaviate.exceptions import UnexpectedStatusCodeError, WeaviateQueryError

from local.weaviate_server.samples import PASSAGES, sample_objects
from local.weaviate_server.server import MAX_MESSAGE_BYTES, WeaviateServer

Connect = Callable[..., WeaviateClient]


def test_a_client_is_live_and_ready_and_knows_the_version(
    server: WeaviateServer, connect: Connect
) -> None:
    client = connect(server, skip_init_checks=False)
    assert client.is_live()
    assert client.is_ready()
    meta = client.get_meta()
    assert meta["version"] == "1.37.2"
    assert meta["grpcMaxMessageSize"] == MAX_MESSAGE_BYTES
    assert [node.status for node in client.cluster.nodes()] == ["HEALTHY"]


def test_connect_to_local_connects_too(server: WeaviateServer) -> None:
    with weaviate.connect_to_local(
        "127.0.0.1", server.http_port, server.grpc_port, skip_init_checks=True
    ) as client:
        assert client.is_ready()


def test_the_version_is_a_matter_of_choice(connect: Connect) -> None:
    with WeaviateServer(version="1.35.9") as server:
        client = connect(server)
        client.collections.create("Old")
        with (
            pytest.raises(weaviate.exceptions.WeaviateUnsupportedFeatureError, match=r"1\.36"),
            client.batch.stream(),
        ):
            pass


@pytest.mark.parametrize("key", [None, "wrong"])
def test_without_the_key_both_interfaces_refuse(connect: Connect, key: str | None) -> None:
    with WeaviateServer(api_key="right") as server:
        server.control.create(PASSAGES)
        assert httpx.get(f"{server.url}/v1/.well-known/ready").status_code == 200
        credentials = Auth.api_key(key) if key else None
        with pytest.raises(UnexpectedStatusCodeError, match="401"):
            connect(server, auth_credentials=credentials)
        # Over gRPC alone: a client that has got past REST with the right key.
        client = connect(server, auth_credentials=Auth.api_key("right"))
        metadata = (("authorization", f"Bearer {key}"),) if key else ()
        client._connection.grpc_headers = lambda: metadata
        with pytest.raises(WeaviateQueryError) as refused:
            client.collections.get("Passages").query.fetch_objects()
        assert refused.value.__context__.code() is grpc.StatusCode.UNAUTHENTICATED


def test_with_the_key_all_is_answered(connect: Connect) -> None:
    with WeaviateServer(api_key="right") as server:
        server.control.create(PASSAGES)
        client = connect(server, auth_credentials=Auth.api_key("right"))
        assert client.collections.get("Passages").query.fetch_objects().objects == []


def test_a_process_of_its_own_serves_and_is_controlled(connect: Connect) -> None:
    with WeaviateServer(process=True) as server:
        server.control.create(PASSAGES)
        assert server.control.put("Passages", list(sample_objects(20, 4))) == 20
        passages = connect(server).collections.get("Passages")
        ids = [str(each.uuid) for each in passages.iterator()]
        assert ids == server.control.ids("Passages")
        assert server.control.counted().reads.total() == 20
        server.stop()
        server.start()
        assert passages.aggregate.over_all(total_count=True).total_count == 20
        with pytest.raises(Exception, match="already exists"):
            server.control.create(PASSAGES)


def test_a_server_that_was_stopped_comes_back_at_its_ports_with_its_objects(
    server: WeaviateServer, client: WeaviateClient
) -> None:
    server.control.create(PASSAGES)
    server.control.put("Passages", list(sample_objects(20, 4)))
    passages = client.collections.get("Passages")
    before = [each.uuid for each in passages.iterator()]
    ports = server.http_port, server.grpc_port
    server.stop()
    assert not client.is_ready()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/v1/.well-known/ready")
    server.start()
    assert (server.http_port, server.grpc_port) == ports
    assert client.is_ready()
    assert [each.uuid for each in passages.iterator()] == before
