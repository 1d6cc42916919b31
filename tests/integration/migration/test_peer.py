"""What is asked of a Weaviate server comes back as it is there, whatever happens on the way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import numpy as np
import pytest
import stamina

from greenlang_vectors.errors import UsageError
from greenlang_vectors.migration.objects import WeaviateObject
from greenlang_vectors.migration.peer import (
    Peer,
    WeaviateRefused,
    WeaviateUnavailable,
    open_peer,
)
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.settings import Settings

pytest.importorskip("weaviate", reason="needs the extra weaviate")

from local.weaviate_server.server import WeaviateServer
from local.weaviate_server.store import Sent, Vector

if TYPE_CHECKING:
    from local.weaviate_server.server import Control

LAST = UUID(int=2**128 - 1)
EVERYTHING: dict[str, Any] = {
    "text": "“Scope 3” – 12 % 𝔊",
    "int": 2**40,
    "number": 0.1,
    "boolean": False,
    "date": "2024-02-29T12:00:00.5+02:00",
    "uuid": "0b394b4c-d310-42af-9e12-585897bda713",
    "geoCoordinates": {"latitude": 52.5, "longitude": 13.25},
    "object": {"name": "x", "numbers": [1.5], "inner": {"flag": True}},
    "texts": ["a", "b"],
    "ints": [1, -2],
    "numbers": [1.0, 2.5],
    "booleans": [True, False],
    "dates": ["2024-01-01T00:00:00Z"],
    "uuids": ["0b394b4c-d310-42af-9e12-585897bda713"],
    "objects": [{"name": "y"}, {"name": "z"}],
    "blob": "aGVsbG8=",
}
PROPERTIES = [
    *(
        {"name": kind, "dataType": [kind]}
        for kind in ("text", "int", "number", "boolean", "date", "uuid", "geoCoordinates", "blob")
    ),
    *(
        {"name": f"{kind}s", "dataType": [f"{kind}[]"]}
        for kind in ("text", "int", "number", "boolean", "date", "uuid")
    ),
    {"name": "phoneNumber", "dataType": ["phoneNumber"]},
    {
        "name": "object",
        "dataType": ["object"],
        "nestedProperties": [
            {"name": "name", "dataType": ["text"]},
            {"name": "numbers", "dataType": ["number[]"]},
            {
                "name": "inner",
                "dataType": ["object"],
                "nestedProperties": [{"name": "flag", "dataType": ["boolean"]}],
            },
        ],
    },
    {
        "name": "objects",
        "dataType": ["object[]"],
        "nestedProperties": [{"name": "name", "dataType": ["text"]}],
    },
]


@pytest.fixture
def control(weaviate: WeaviateServer) -> Control:
    return weaviate.control


@pytest.fixture
def impatient() -> Iterator[None]:
    """Retries do not wait, and there are three attempts."""
    with stamina.set_testing(True, attempts=3):
        yield


def read(peer: Peer, plan: Plan, size: int = 7, **options: object) -> list[WeaviateObject]:
    asked: dict[str, Any] = {
        "after": None,
        "last": LAST,
        "properties": None,
        "vectors": (None,),
        **options,
    }
    return [each for page in peer.pages(plan.collection, "", size=size, **asked) for each in page]


def test_pages_hold_every_object_once_in_the_order_of_ids(
    peer: Peer, plan: Plan, filled: Callable[[int], list[Sent]]
) -> None:
    sent = {UUID(each.id): each for each in filled(30)}
    found = read(peer, plan)
    assert [each.id for each in found] == sorted(sent)
    for each in found:
        given = {k: v for k, v in sent[each.id].properties.items() if v is not None}
        assert {k: v for k, v in each.properties.items() if v is not None} == given
        assert each.vectors[None].tobytes() == sent[each.id].vectors[""].data
    assert peer.count(plan.collection, "") == 30


def test_pages_begin_and_end_where_they_are_told(
    peer: Peer, plan: Plan, filled: Callable[[int], list[Sent]], control: Control
) -> None:
    ids = sorted(UUID(each.id) for each in filled(30))
    control.forget()
    found = read(peer, plan, after=ids[4], last=ids[11], properties=["source_id"], vectors=())
    assert [each.id for each in found] == ids[5:12]
    assert found[0].properties.keys() == {"source_id"}
    assert found[0].vectors == {}
    assert found[0].updated_ms > 0
    assert sum(control.counted().reads.values()) <= 7 + 7


def test_every_type_of_property_comes_back_and_goes_there(
    peer: Peer, plan: Plan, control: Control
) -> None:
    control.create({"class": plan.collection, "vectorizer": "none", "properties": PROPERTIES})
    first = WeaviateObject(uuid4(), "", EVERYTHING, {None: np.ones(4, "<f4")}, 0)
    assert peer.upsert(plan.collection, "", [first]) == {}
    [known] = peer.fetch(plan.collection, "", [first.id], properties=list(EVERYTHING)).values()
    assert known.properties == EVERYTHING
    [plain] = read(peer, plan)
    assert plain.properties == {
        **{name: value for name, value in EVERYTHING.items() if name != "blob"},
        "phoneNumber": None,
    }


def test_a_phone_number_goes_there_as_it_was_given(
    peer: Peer, plan: Plan, control: Control
) -> None:
    control.create({"class": plan.collection, "vectorizer": "none", "properties": PROPERTIES})
    number = {"input": "+49 171 1234567", "defaultCountry": "DE"}
    sent = WeaviateObject(uuid4(), "", {"phoneNumber": number}, {}, 0)
    assert peer.upsert(plan.collection, "", [sent]) == {}
    [first] = peer.fetch(plan.collection, "", [sent.id]).values()
    assert first.properties["phoneNumber"]["countryCode"] == 49
    assert peer.upsert(plan.collection, "", [first]) == {}
    [again] = peer.fetch(plan.collection, "", [sent.id]).values()
    assert again.properties == first.properties


def test_references_are_carried_as_beacons(peer: Peer, plan: Plan, control: Control) -> None:
    other = f"{plan.collection}Other"
    control.create({"class": other, "vectorizer": "none"})
    properties = [
        {"name": "one", "dataType": [other]},
        {"name": "several", "dataType": [other, plan.collection]},
    ]
    control.create({"class": plan.collection, "vectorizer": "none", "properties": properties})
    target, id_ = uuid4(), uuid4()
    control.put(other, [Sent(str(target), {})])
    beacons = [f"weaviate://localhost/{other}/{target}"]
    wanted = {"one": beacons, "several": beacons}
    assert peer.upsert(plan.collection, "", [WeaviateObject(id_, "", wanted, {}, 0)]) == {}
    found = peer.fetch(plan.collection, "", [id_], properties=["one", "several"])
    assert found[id_].properties == wanted


def test_vectors_pass_bit_for_bit_named_and_unnamed(
    peer: Peer, plan: Plan, control: Control
) -> None:
    config = {"vectorizer": {"none": {}}, "vectorIndexConfig": {"distance": "dot"}}
    control.create({"class": plan.collection, "vectorConfig": {"a": config, "b": config}})
    odd = np.array([-0.0, 1e-45, -1e-42, 3.4e38, 0.1], "<f4")
    id_ = uuid4()
    sent = WeaviateObject(id_, "", {}, {"a": odd, "b": odd[:2]}, 0)
    assert peer.upsert(plan.collection, "", [sent]) == {}
    assert control.vectors(plan.collection, str(id_))["a"].data == odd.tobytes()
    [both] = read(peer, plan, vectors=("a", "b"))
    assert both.vectors["a"].tobytes() == odd.tobytes()
    assert both.vectors["b"].tobytes() == odd[:2].tobytes()
    [one] = read(peer, plan, vectors=("b",))
    assert one.vectors.keys() == {"b"}
    assert peer.describe(plan.collection).metrics == {"a": "dot", "b": "dot"}


def test_tenants_are_read_apart(peer: Peer, plan: Plan, control: Control) -> None:
    definition = {"class": plan.collection, "multiTenancyConfig": {"enabled": True}}
    control.create(definition, tenants=["b", "a"])
    object_ = Sent(str(uuid4()), {"text": "x"}, {"": Vector(np.ones(4, "<f4").tobytes())})
    control.put(plan.collection, [object_], "b")
    assert peer.tenants(plan.collection) == ["a", "b"]
    assert [peer.count(plan.collection, each) for each in ("a", "b")] == [0, 1]
    [found] = peer.fetch(plan.collection, "b", [UUID(object_.id)]).values()
    assert found.tenant == "b"
    assert peer.fetch(plan.collection, "a", [found.id]) == {}


def test_a_source_has_the_objects_with_exactly_its_value(
    peer: Peer, plan: Plan, control: Control
) -> None:
    control.create({"class": plan.collection, "vectorizer": "none"})  # split into words
    sent = [Sent(str(uuid4()), {"source": text}) for text in ("a b", "b a", "a b c", "A b")]
    control.put(plan.collection, sent)
    assert peer.ids_of(plan.collection, "", "source", "a b") == {UUID(sent[0].id)}


def test_what_is_deleted_twice_does_no_harm(
    peer: Peer, plan: Plan, filled: Callable[[int], list[Sent]], control: Control
) -> None:
    ids = [UUID(each.id) for each in filled(10)]
    control.lose_answers(1, methods=["BatchDelete"])
    peer.delete(plan.collection, "", ids[:4])
    peer.delete(plan.collection, "", ids[:4])
    assert peer.fetch(plan.collection, "", ids).keys() == set(ids[4:])


def test_an_object_that_does_not_fit_is_named_and_harms_no_other(
    peer: Peer, plan: Plan, filled: Callable[[int], list[Sent]]
) -> None:
    filled(1)
    good, bad = uuid4(), uuid4()
    refused = peer.upsert(
        plan.collection,
        "",
        [
            WeaviateObject(good, "", {"text": "x"}, {None: np.ones(8, "<f4")}, 0),
            WeaviateObject(bad, "", {"text": "x"}, {None: np.ones(9, "<f4")}, 0),
        ],
    )
    assert refused.keys() == {bad}
    assert "length 9" in refused[bad]
    assert peer.fetch(plan.collection, "", [good, bad]).keys() == {good}


@pytest.mark.usefixtures("impatient")
def test_an_answer_that_fails_is_asked_for_again(
    peer: Peer, plan: Plan, filled: Callable[[int], list[Sent]], control: Control
) -> None:
    filled(10)
    control.unavailable(calls=2, methods=["Search"])
    assert len(read(peer, plan)) == 10
    control.lose_answers(1, methods=["Aggregate"])
    assert peer.count(plan.collection, "") == 10


@pytest.mark.usefixtures("impatient")
def test_a_server_that_is_down_gives_one_clear_error(
    peer: Peer, plan: Plan, filled: Callable[[int], list[Sent]], control: Control
) -> None:
    filled(10)
    control.unavailable(seconds=60)
    with pytest.raises(WeaviateUnavailable, match=r"gives no answer .*GREENLANG_WEAVIATE_URL"):
        read(peer, plan)
    with pytest.raises(WeaviateUnavailable, match="gives no answer"):
        peer.describe(plan.collection)
    control.heal()
    assert len(read(peer, plan)) == 10


def test_a_message_that_is_too_large_is_asked_for_in_smaller_ones(plan: Plan) -> None:
    with WeaviateServer(max_message_bytes=20_000) as small:
        small.control.create({"class": plan.collection, "vectorizer": "none"})
        vector = {"": Vector(np.ones(400, "<f4").tobytes())}
        sent = [Sent(str(uuid4()), {"text": "x" * 500}, vector) for _ in range(40)]
        small.control.put(plan.collection, sent)
        with open_peer(settings_of(small)) as peer:
            assert len(read(peer, plan, size=40)) == 40
            assert len(peer.fetch(plan.collection, "", [UUID(each.id) for each in sent])) == 40
            assert peer.upsert(plan.collection, "", read(peer, plan)) == {}
            small.control.put(plan.collection, [Sent(str(uuid4()), {"text": "x" * 30_000})])
            with pytest.raises(WeaviateRefused, match="larger than max"):
                read(peer, plan, size=40)


@pytest.mark.usefixtures("impatient")
def test_a_connection_that_drops_in_the_middle_of_a_page_is_made_again(plan: Plan) -> None:
    with WeaviateServer(relayed=True) as server:
        server.control.create({"class": plan.collection, "vectorizer": "none"})
        sent = [Sent(str(uuid4()), {"text": "x" * 500}) for _ in range(40)]
        server.control.put(plan.collection, sent)
        with open_peer(settings_of(server)) as peer:
            server.control.cut(after_bytes=3000)
            assert len(read(peer, plan, size=40)) == 40


def test_a_key_that_is_not_taken_is_said_and_not_shown(plan: Plan) -> None:
    with WeaviateServer(api_key="right") as locked:
        locked.control.create({"class": plan.collection, "vectorizer": "none"})
        with open_peer(settings_of(locked, weaviate_api_key="right")) as peer:
            assert peer.count(plan.collection, "") == 0
        with pytest.raises(WeaviateUnavailable, match="GREENLANG_WEAVIATE_API_KEY") as caught:
            open_peer(settings_of(locked, weaviate_api_key="wr0ng"))
        assert "wr0ng" not in str(caught.value)


def test_an_unknown_collection_is_said_with_those_there_are(
    peer: Peer, collection: dict[str, Any]
) -> None:
    with pytest.raises(UsageError, match=rf"no collection 'Nothing'.*{collection['class']}"):
        peer.describe("Nothing")


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://x", "http://x/weaviate"])
def test_what_is_no_url_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="GREENLANG_WEAVIATE_URL"):
        open_peer(Settings(weaviate_url=url))


def test_the_settings_are_read_without_their_prefix_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEAVIATE_URL", "http://one:1")
    monkeypatch.setenv("WEAVIATE_GRPC_PORT", "2")
    assert (Settings().weaviate_url, Settings().weaviate_grpc_port) == ("http://one:1", 2)
    monkeypatch.setenv("GREENLANG_WEAVIATE_URL", "http://two:1")
    assert Settings().weaviate_url == "http://two:1"


def test_without_the_client_one_error_says_what_to_install(repository: Path) -> None:
    code = (
        "import sys\n"
        "sys.modules['weaviate'] = None\n"
        "from greenlang_vectors.migration.peer import open_peer\n"
        "from greenlang_vectors.settings import Settings\n"
        "open_peer(Settings())\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=False
    )
    assert "pip install 'greenlang-vectors[weaviate]'" in ended.stderr


def settings_of(server: WeaviateServer, **options: str) -> Settings:
    return Settings(weaviate_url=server.url, weaviate_grpc_port=server.grpc_port, **options)
