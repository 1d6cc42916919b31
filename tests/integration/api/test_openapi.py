"""The description of the API is true, and nothing that is sent leads to a 5xx."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from limits import parse
from requests import Session
from schemathesis import Case, GenerationMode
from schemathesis.checks import positive_data_acceptance
from starlette.testclient import TestClient

from greenlang_vectors.api import limits

from .conftest import Tenants
from .test_uploads import upload

pytestmark = pytest.mark.integration

EXAMPLES = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
OPERATIONS = [
    *("POST /v1/search", "POST /v1/search/hybrid", "POST /v1/embeddings", "POST /v1/documents"),
    *("GET /v1/documents/{namespace}/{key}", "DELETE /v1/documents/{namespace}/{key}"),
    *("GET /v1/jobs/{job}", "GET /v1/namespaces", "GET /v1/collections"),
    *("GET /v1/embedding-jobs", "GET /v1/embedding-jobs/{job}"),
    *("GET /healthz", "GET /readyz", "GET /metrics"),
]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Schemathesis tries without and with wrong credentials many times a minute."""
    monkeypatch.setattr(limits, "REFUSALS", parse("100000/minute"))


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_answer_is_as_described(
    live: str, tenants: Tenants, operation: str, mode: GenerationMode
) -> None:
    """What fits the description and what does not; never a 5xx, never an undescribed answer.

    Left out is that all that fits must be accepted: no schema says which filters mean something.
    """
    method, path = operation.split(" ")
    described = schemathesis.openapi.from_url(f"{live}/openapi.json")[path][method]
    if mode is GenerationMode.NEGATIVE and not (described.body or described.path_parameters):
        return
    with Session() as session:
        session.headers["Authorization"] = f"Bearer {tenants.admin}"

        @EXAMPLES
        @given(case=described.as_strategy(generation_mode=mode))
        def check(case: Case) -> None:
            if mode is GenerationMode.POSITIVE:
                aim(case, tenants.ours)
            case.call_and_validate(
                session=session, excluded_checks=[positive_data_acceptance], timeout=20
            )

        check()


def aim(case: Case, namespace: str) -> None:
    """Let a case reach further than "there is no such namespace"."""
    for place in (case.body, case.path_parameters):
        if isinstance(place, dict) and "namespace" in place:
            place["namespace"] = namespace


def test_the_description_names_every_operation(service: TestClient) -> None:
    paths = service.get("/openapi.json").json()["paths"]
    named = [f"{method.upper()} {path}" for path, item in paths.items() for method in item]
    assert sorted(named) == sorted(OPERATIONS)


# What no schema describes: filters, names, questions

ODD_TEXT = st.one_of(
    st.text(st.characters(exclude_categories=[]), max_size=40),
    st.sampled_from(
        [
            "'; DROP TABLE documents; --",
            "%s %(f0)s {} \\",
            '" OR 1=1',
            "$1",
            "a & | ! <-> :*",
            "\x00",
            "\ud800",
            "../../etc/passwd",
            "%",
            "_",
            "${jndi:x}",
        ]
    ),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    ODD_TEXT,
    st.sampled_from(["2024-01-01", "9999999-12-31", "infinity", "2024-02-30T25:00:00"]),
)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=5))
FIELDS = st.one_of(
    st.sampled_from(
        [
            *("source_type", "source_id", "document", "created_at", "updated_at"),
            *("metadata.year", "metadata.a.b", "metadata."),
        ]
    ),
    ODD_TEXT,
    ODD_TEXT.map("metadata.{}".format),
)
OPERATORS = st.sampled_from(
    ["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "like", "exists", "contains", "; SELECT"]
)
FILTERS = st.recursive(
    st.one_of(
        st.fixed_dictionaries({"field": FIELDS, "op": OPERATORS, "value": VALUES}),
        VALUES,
    ),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"and": st.lists(inner, max_size=3)}),
        st.fixed_dictionaries({"or": st.lists(inner, max_size=3)}),
        st.fixed_dictionaries({"not": inner}),
    ),
    max_leaves=6,
)
BODIES = st.fixed_dictionaries(
    {"query": ODD_TEXT, "filter": FILTERS},
    optional={
        "mode": st.sampled_from(["vector", "text", "hybrid"]),
        "top_k": st.integers(1, 1000),
        "after": ODD_TEXT,
        "collection": ODD_TEXT,
        "threshold": st.floats(),
        "exact": st.booleans(),
        "fresh": st.booleans(),
        "per_document": st.integers(0, 5),
        "diversity": st.floats(0, 1),
        "weights": st.tuples(st.floats(), st.floats()),
        "vector": st.lists(st.floats(), min_size=16, max_size=16),
    },
)


def encoded(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()


@settings(EXAMPLES, max_examples=250)
@given(body=BODIES)
def test_no_search_leads_to_a_5xx(us: TestClient, tenants: Tenants, body: dict[str, Any]) -> None:
    answered = us.post(
        "/v1/search",
        content=encoded({"namespace": tenants.ours, **body}),
        headers={"Content-Type": "application/json"},
    )
    assert answered.status_code in {200, 422}, answered.text


@settings(EXAMPLES, max_examples=150)
@given(field=FIELDS.filter(lambda name: name.startswith("metadata.")), op=OPERATORS, value=SCALARS)
def test_no_filter_finds_what_is_not_there(
    us: TestClient, tenants: Tenants, field: str, op: str, value: object
) -> None:
    """No document here has metadata: whatever is compared with, nothing but absence is found."""
    asked = {"namespace": tenants.ours, "query": "carbon", "mode": "text"}
    comparison = {"field": field, "op": op, "value": value}
    answered = us.post(
        "/v1/search",
        content=encoded({**asked, "filter": comparison}),
        headers={"Content-Type": "application/json"},
    )
    assert answered.status_code in {200, 422}, answered.text
    if answered.status_code == 200 and op in {"eq", "gt", "gte", "lt", "lte", "like", "contains"}:
        assert answered.json()["results"] == []


@settings(EXAMPLES, max_examples=150)
@given(name=ODD_TEXT, namespace=ODD_TEXT)
def test_no_name_leads_to_a_5xx_or_out_of_the_folder(
    us: TestClient, tenants: Tenants, name: str, namespace: str
) -> None:
    sent = name.encode("utf-8", "replace").decode()
    answered = upload(us, tenants.ours, "fallback.txt", b"text", name=sent + ".txt")
    assert answered.status_code in {202, 422}, answered.text
    if answered.status_code == 202:
        key = answered.json()["document"]
        assert (tenants.folder / key).resolve().is_relative_to(tenants.folder)
        assert (tenants.folder / key).read_bytes() == b"text"
        us.delete("/v1/documents/" + tenants.ours + "/" + quoted(key))
        assert not (tenants.folder / key).exists()
    for path in (f"{quoted(namespace)}/{quoted(name)}", f"{tenants.ours}/{quoted(name)}"):
        assert us.get(f"/v1/documents/{path}").status_code < 500
    elsewhere = encoded({"namespace": namespace, "query": name})
    kind = {"Content-Type": "application/json"}
    assert us.post("/v1/search", content=elsewhere, headers=kind).status_code in {403, 422}


def quoted(text: str) -> str:
    return quote(text.encode("utf-8", "replace"), safe="")
