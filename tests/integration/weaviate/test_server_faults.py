"""Faults on demand, as the official client meets them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from weaviate import WeaviateClient
from weaviate.collections import Collection
from weaviate.collections.classes.internal import Object
from weaviate.exceptions import UnexpectedStatusCodeError

from local.weaviate_server.faults import Change
from local.weaviate_server.samples import PASSAGES, sample_objects
from local.weaviate_server.server import WeaviateServer
from local.weaviate_server.store import Sent

FIRST = "00000000-0000-4000-8000-000000000001"
LAST = "ffffffff-ffff-4fff-bfff-fffffffffffe"

Connect = Callable[..., WeaviateClient]


def filled(server: WeaviateServer) -> list[str]:
    server.control.create(PASSAGES)
    server.control.put("Passages", list(sample_objects(60, 4)))
    return server.control.ids("Passages")


def read(collection: Collection, page: int = 20) -> list[str]:
    return [str(each.uuid) for each in collection.iterator(cache_size=page)]


def rest(iterator: Iterator[Object]) -> Iterator[Object]:
    """What an iterator still gives; a `for` would begin it anew."""
    while True:
        try:
            yield next(iterator)
        except StopIteration:
            return


def test_a_client_survives_a_server_that_is_unavailable_for_a_call(
    server: WeaviateServer, client: WeaviateClient
) -> None:
    ids = filled(server)
    server.control.unavailable(calls=1, methods=["Search"])
    assert read(client.collections.get("Passages")) == ids
    counted = server.control.counted()
    assert counted.calls["Search"] == 5
    assert [len(page.ids) for page in counted.pages] == [20, 20, 20, 0]


def test_a_server_is_unavailable_for_a_time(server: WeaviateServer, client: WeaviateClient) -> None:
    server.control.unavailable(seconds=0.3)
    assert not client.is_ready()
    with pytest.raises(UnexpectedStatusCodeError, match="503"):
        client.collections.list_all()
    time.sleep(0.31)
    assert client.is_ready()
    server.control.unavailable(seconds=60)
    server.control.heal()
    assert client.is_ready()


def test_pages_are_slow(server: WeaviateServer, client: WeaviateClient) -> None:
    ids = filled(server)
    server.control.slow(0.1)
    began = time.monotonic()
    assert read(client.collections.get("Passages")) == ids
    assert time.monotonic() - began >= 0.4


def test_a_connection_is_cut_in_the_middle_of_a_page(connect: Connect) -> None:
    with WeaviateServer(relayed=True) as server:
        ids = filled(server)
        passages = connect(server).collections.get("Passages")
        iterator = passages.iterator(cache_size=20)
        first = [str(next(iterator).uuid) for _ in range(20)]
        server.control.cut(after_bytes=1000)
        assert first + [str(each.uuid) for each in rest(iterator)] == ids
        reads = server.control.counted().reads
        assert [reads[each] for each in ids] == [1] * 20 + [2] * 20 + [1] * 20


def test_what_was_done_may_not_be_answered(server: WeaviateServer, client: WeaviateClient) -> None:
    filled(server)
    passages = client.collections.get("Passages")
    server.control.lose_answers(calls=1, methods=["POST objects"])
    with pytest.raises(httpx.RemoteProtocolError):
        passages.data.insert({}, uuid=FIRST, vector=[0.5] * 4)
    assert passages.data.exists(FIRST)
    server.control.lose_answers(calls=1, methods=["BatchObjects"])
    passages.data.insert_many([{}])
    assert len(server.control.ids("Passages")) == 62, "sent again under the same ids"


def test_objects_change_behind_and_ahead_of_the_cursor(
    server: WeaviateServer, client: WeaviateClient
) -> None:
    ids = filled(server)
    behind, ahead = ids[5], ids[55]
    vector = server.control.vectors("Passages", behind)
    changed = [Sent(each, {"text": "changed"}, vector) for each in (behind, ahead, FIRST, LAST)]
    server.control.at_page(2, Change("Passages", changed, delete=[ids[6], ids[50]]))
    found = {
        str(each.uuid): each.properties["text"]
        for each in client.collections.get("Passages").iterator(cache_size=20)
    }
    assert found.keys() == {*ids, LAST} - {ids[50]}
    assert found[ahead] == found[LAST] == "changed"
    assert found[behind] != "changed"
    assert server.control.ids("Passages") == sorted({*ids, FIRST, LAST} - {ids[6], ids[50]})


def test_counting_begins_anew(server: WeaviateServer, client: WeaviateClient) -> None:
    filled(server)
    read(client.collections.get("Passages"))
    assert server.control.forget().reads.total() == 60
    assert server.control.counted().reads.total() == 0
