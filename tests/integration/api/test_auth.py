"""Who is let in: API keys, tokens, this machine; and how often."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from pydantic import SecretStr
from starlette.testclient import TestClient

from benchmarks.redis_server import RedisServer
from greenlang_vectors.api import auth, tokens
from greenlang_vectors.api.app import check_credentials, create_app
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import UsageError
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import api_keys, namespaces
from greenlang_vectors.store.database import Database

from .conftest import Client, Tenants, new_key

pytestmark = pytest.mark.integration

ISSUER, AUDIENCE = "https://id.example", "greenlang"


# API keys


def test_without_a_credential_nothing_under_v1_answers(service: TestClient) -> None:
    for path in ("/v1/namespaces", "/v1/nothing", "/metrics"):
        answered = service.get(path)
        assert answered.status_code == 401, path
        assert answered.headers["www-authenticate"] == "Bearer"
    for path in ("/", "/healthz", "/readyz", "/openapi.json"):
        assert service.get(path).status_code == 200, path


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: key[:-1] + ("A" if key[-1] != "A" else "B"),
        lambda key: key[:4] + "0" * 16 + key[20:],
        lambda key: key[:-1],
        lambda key: key + "A",
        lambda key: key.upper(),
        lambda _: "glv_",
        lambda _: "",
        lambda _: "x",
    ],
)
def test_only_the_very_key_opens(
    bearer: Client, tenants: Tenants, spoil: Callable[[str], str]
) -> None:
    assert bearer(tenants.our_key).get("/v1/namespaces").status_code == 200
    assert bearer(spoil(tenants.our_key)).get("/v1/namespaces").status_code == 401


def test_a_key_may_come_in_a_header_of_its_own(service: TestClient, tenants: Tenants) -> None:
    answered = service.get("/v1/namespaces", headers={"X-API-Key": tenants.our_key})
    assert answered.status_code == 200


def test_a_key_ends_when_it_is_revoked_or_expires(
    database: Database, bearer: Client, tenants: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(auth, "NEW_SECONDS", 0.0)
    soon = datetime.now(UTC) + timedelta(seconds=0.7)
    with database.connect() as connection:
        made, key = api_keys.create(connection, "k", for_namespaces=[tenants.ours], scopes=["read"])
        _, brief = api_keys.create(
            connection, "b", for_namespaces=[tenants.ours], scopes=["read"], expires_at=soon
        )
        for each in (key, brief):
            assert bearer(each).get("/v1/namespaces").status_code == 200
        api_keys.revoke(connection, made.id)
        assert bearer(key).get("/v1/namespaces").status_code == 401
        time.sleep(0.8)
        assert bearer(brief).get("/v1/namespaces").status_code == 401


def test_a_new_key_opens_within_seconds_and_its_use_is_noted(
    database: Database, bearer: Client, tenants: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    bearer(tenants.our_key).get("/v1/namespaces")
    with database.connect() as connection:
        made, key = api_keys.create(connection, "n", for_namespaces=[tenants.ours], scopes=["read"])
        time.sleep(auth.NEW_SECONDS + 0.1)
        assert bearer(key).get("/v1/namespaces").status_code == 200
        monkeypatch.setattr(auth, "FRESH_SECONDS", 0.0)
        bearer(tenants.our_key).get("/v1/namespaces")
        [noted] = [each for each in api_keys.list_all(connection) if each.id == made.id]
        assert noted.last_used_at is not None
        assert key.rpartition("_")[2].encode() not in noted.secret_hash


def test_a_request_costs_no_query_for_its_key(
    us: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    us.get("/v1/nothing")
    monkeypatch.setattr(database, "connection", None)
    for _ in range(20):
        assert us.get("/v1/nothing").status_code == 404


def test_a_namespace_registered_anew_is_not_opened_by_old_keys(database: Database) -> None:
    name = f"n{uuid4().hex[:8]}"
    with database.connect() as connection:
        namespaces.register(connection, name)
        new_key(connection, [name], ["read"])
        namespaces.drop(connection, name)
        namespaces.register(connection, name)
        assert not [key for key in api_keys.list_all(connection) if name in key.namespaces]


def test_nobody_serves_what_nobody_can_call(new_database: Callable[[], str]) -> None:
    database = Database(new_database())
    try:
        with pytest.raises(UsageError, match="greenlang-vectors api-keys create"):
            check_credentials(database, Settings())
        check_credentials(database, Settings(api_jwks_url="https://id.example/keys"))
        with database.connect() as connection:
            new_key(connection, ["*"], ["read"])
        check_credentials(database, Settings())
    finally:
        database.close()


# Tokens


@dataclass
class Provider:
    """An identity provider: a published key set and the private keys to it."""

    file: Path
    keys: dict[str, Any] = field(default_factory=dict)

    def publish(self, kid: str, kind: str = "RS256") -> None:
        private: Any
        if kind == "RS256":
            private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        else:
            private = ec.generate_private_key(ec.SECP256R1())
        self.keys[kid] = (kind, private)
        algorithm = RSAAlgorithm if kind == "RS256" else ECAlgorithm
        self.write(
            [
                {"kid": k, "alg": a, **json.loads(algorithm.to_jwk(p.public_key()))}
                if a == kind
                else {}
                for k, (a, p) in self.keys.items()
            ]
        )

    def write(self, published: list[dict[str, Any]]) -> None:
        self.file.write_text(json.dumps({"keys": published}))

    def token(self, kid: str, **claims: Any) -> str:  # noqa: ANN401 - any claim
        kind, private = self.keys[kid]
        return jwt.encode(
            {
                "iss": ISSUER,
                "aud": AUDIENCE,
                "sub": "ada",
                "exp": time.time() + 300,
                "scope": "read",
                **claims,
            },
            private,
            algorithm=kind,
            headers={"kid": kid},
        )


@pytest.fixture
def provider(tmp_path: Path) -> Provider:
    made = Provider(tmp_path / "keys.json")
    made.publish("one")
    return made


@pytest.fixture
def with_tokens(
    database: Database, toys: Embedders, api_settings: Settings, provider: Provider
) -> Iterator[TestClient]:
    settings = api_settings.model_copy(
        update={
            "api_jwks_url": provider.file.as_uri(),
            "api_jwt_issuer": ISSUER,
            "api_jwt_audience": AUDIENCE,
        }
    )
    app = create_app(database, settings, embedders=toys)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def status(client: TestClient, token: str, path: str = "/v1/namespaces") -> int:
    return client.get(path, headers={"Authorization": f"Bearer {token}"}).status_code


def test_a_token_opens_the_namespaces_it_names(
    with_tokens: TestClient, provider: Provider, tenants: Tenants
) -> None:
    bearer = {"Authorization": f"Bearer {provider.token('one', namespaces=[tenants.ours])}"}
    [known] = with_tokens.get("/v1/namespaces", headers=bearer).json()["namespaces"]
    assert known["namespace"] == tenants.ours
    for namespace, expected in ((tenants.ours, 200), (tenants.theirs, 403)):
        asked = {"namespace": namespace, "query": "x", "mode": "text"}
        assert with_tokens.post("/v1/search", json=asked, headers=bearer).status_code == expected
    assert status(with_tokens, provider.token("one", namespaces="*")) == 200
    assert status(with_tokens, provider.token("one"), f"/v1/documents/{tenants.ours}/x") == 403
    assert status(with_tokens, provider.token("one", scope="admin"), "/metrics") == 200
    assert status(with_tokens, provider.token("one", scope="read write"), "/metrics") == 403


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1},
        {"exp": None},
        {"nbf": 9e9},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another service"},
        {"aud": None},
        {"sub": None},
    ],
)
def test_a_token_for_another_time_place_or_service_is_refused(
    with_tokens: TestClient, provider: Provider, claims: dict[str, Any]
) -> None:
    given = {name: value for name, value in claims.items() if value is not None}
    dropped = [name for name, value in claims.items() if value is None]
    kind, private = provider.keys["one"]
    full = jwt.decode(provider.token("one", **given), options={"verify_signature": False})
    for name in dropped:
        del full[name]
    token = jwt.encode(full, private, algorithm=kind, headers={"kid": "one"})
    assert status(with_tokens, token) == 401


def test_a_token_signed_by_other_means_is_refused(
    with_tokens: TestClient, provider: Provider
) -> None:
    good = provider.token("one")
    header, payload, signature = good.split(".")
    claims = jwt.decode(good, options={"verify_signature": False})
    public = provider.keys["one"][1].public_key()
    forged = jwt.encode(claims, json.dumps(public.public_numbers().n), "HS256", {"kid": "one"})
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for token in (
        jwt.encode(claims, None, "none", {"kid": "one"}),
        forged,
        jwt.encode(claims, stranger, "RS256", {"kid": "one"}),
        jwt.encode(claims, stranger, "RS256", {"kid": "unknown"}),
        f"{header}.{payload}.",
        f"{header}.{payload}.{signature[:-4]}AAAA",
        good + "." + good,
        "eyJhbGciOiJSUzI1NiJ9..",
        "a" * 20_000,
    ):
        assert status(with_tokens, token) == 401, token[:80]
    assert status(with_tokens, good) == 200


def test_a_symmetric_key_in_the_set_signs_nothing(
    with_tokens: TestClient, provider: Provider
) -> None:
    secret = "s" * 43
    provider.write([{"kid": "shared", "kty": "oct", "k": secret, "alg": "HS256"}])
    token = jwt.encode(
        {"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "exp": time.time() + 60},
        jwt.utils.base64url_decode(secret),
        "HS256",
        {"kid": "shared"},
    )
    assert status(with_tokens, token) == 401


def test_keys_are_changed_while_it_serves(
    with_tokens: TestClient, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new key is asked for when a token names it, an elliptic one as well; at most so often."""
    assert status(with_tokens, provider.token("one")) == 200
    provider.keys.clear()
    provider.publish("two", "ES256")
    assert status(with_tokens, provider.token("two")) == 401
    monkeypatch.setattr(tokens, "REFRESH_SECONDS", 0)
    assert status(with_tokens, provider.token("two")) == 200
    provider.file.unlink()
    assert status(with_tokens, provider.token("two")) == 200


def test_unknown_key_ids_cause_few_questions(provider: Provider) -> None:
    asked = []

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = provider.file.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Keys) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        checked = tokens.Tokens(f"http://127.0.0.1:{server.server_port}/keys", ISSUER, AUDIENCE)

        async def all_of_them() -> list[bool]:
            strangers = [
                jwt.encode({"sub": "x"}, provider.keys["one"][1], "RS256", {"kid": f"k{n}"})
                for n in range(20)
            ]
            found = [await checked.caller(token) is not None for token in strangers]
            return [*found, await checked.caller(provider.token("one")) is not None]

        assert asyncio.run(all_of_them()) == [False] * 20 + [True]
        server.shutdown()
    assert len(asked) == 1


def test_tokens_need_an_audience(
    database: Database, toys: Embedders, api_settings: Settings
) -> None:
    settings = api_settings.model_copy(update={"api_jwks_url": "https://id.example/keys"})
    with pytest.raises(UsageError, match="GREENLANG_API_JWT_AUDIENCE"):
        create_app(database, settings, embedders=toys)


# This machine alone


@pytest.fixture
def open_service(
    database: Database, toys: Embedders, api_settings: Settings
) -> Iterator[TestClient]:
    app = create_app(database, api_settings, embedders=toys, authentication=False)
    with TestClient(app, base_url="http://localhost:8000") as client:
        yield client


def test_without_authentication_this_machine_is_served(open_service: TestClient) -> None:
    assert open_service.get("/v1/namespaces").status_code == 200
    own = {"Origin": "http://localhost:8000"}
    assert open_service.get("/v1/namespaces", headers=own).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:8000"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "null"},
    ],
)
def test_without_authentication_no_other_site_is_served(
    open_service: TestClient, headers: dict[str, str]
) -> None:
    assert open_service.get("/v1/namespaces", headers=headers).status_code == 403


# Rate limits


def limited(
    database: Database, toys: Embedders, settings: Settings, **update: object
) -> TestClient:
    settings = settings.model_copy(update={"api_rate_limit": "3/minute", **update})
    return TestClient(create_app(database, settings, embedders=toys))


def test_a_caller_that_asks_too_often_is_told_when_to_come_back(
    database: Database, toys: Embedders, api_settings: Settings, tenants: Tenants
) -> None:
    with limited(database, toys, api_settings) as client:
        ours = {"Authorization": f"Bearer {tenants.our_key}"}
        answers = [client.get("/v1/namespaces", headers=ours) for _ in range(4)]
        assert [each.status_code for each in answers] == [200, 200, 200, 429]
        assert 1 <= int(answers[3].headers["retry-after"]) <= 120
        assert answers[3].headers["content-type"] == "application/problem+json"
        other = {"Authorization": f"Bearer {tenants.reader}"}
        assert client.get("/v1/namespaces", headers=other).status_code == 200
        assert client.get("/healthz").status_code == 200


def test_guessing_keys_is_slow(database: Database, toys: Embedders, api_settings: Settings) -> None:
    with limited(database, toys, api_settings) as client:
        statuses = [client.get("/v1/namespaces").status_code for _ in range(61)]
    assert statuses == [401] * 60 + [429]


def test_processes_that_share_a_redis_count_together(
    database: Database,
    toys: Embedders,
    api_settings: Settings,
    tenants: Tenants,
    running_redis: RedisServer,
) -> None:
    ours = {"Authorization": f"Bearer {tenants.our_key}"}
    statuses = []
    for _ in range(2):
        with limited(
            database, toys, api_settings, redis_url=SecretStr(running_redis.url)
        ) as client:
            statuses += [client.get("/v1/namespaces", headers=ours).status_code for _ in range(2)]
    assert statuses == [200, 200, 200, 429]


def test_a_redis_that_is_down_stops_nobody(
    database: Database, toys: Embedders, api_settings: Settings, tenants: Tenants
) -> None:
    with limited(
        database, toys, api_settings, redis_url=SecretStr("redis://127.0.0.1:9")
    ) as client:
        ours = {"Authorization": f"Bearer {tenants.our_key}"}
        assert [client.get("/v1/namespaces", headers=ours).status_code for _ in range(5)] == [
            200
        ] * 5


def test_a_rate_that_cannot_be_read_is_refused(
    database: Database, toys: Embedders, api_settings: Settings
) -> None:
    with pytest.raises(UsageError, match="GREENLANG_API_RATE_LIMIT"):
        limited(database, toys, api_settings, api_rate_limit="often")
