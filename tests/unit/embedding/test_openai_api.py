"""OpenAI's models through the official client, against a server on the loopback."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import stamina

from greenlang_vectors.embedding import encoding
from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.models import PACKAGED_MODEL, TransientModelError, resolve_model
from greenlang_vectors.embedding.openai_api import LONGEST_WAIT, Endpoint, OpenAIModel
from greenlang_vectors.errors import EmbeddingFailed, GreenLangError, ModelUnavailable
from greenlang_vectors.settings import Settings

from .openai_server import DIMENSIONS, KEY, MODEL, OpenAIServer, Reply, serving, vector_of

TEXTS = ["Due diligence", "Émission de CO₂", "碳边境调节机制", "x" * 300]
RATE_LIMIT = {"message": "Rate limit reached", "code": "rate_limit_exceeded"}


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with serving(OpenAIServer()) as state:
        yield state


def model_at(url: str, name: str = MODEL, key: str = KEY, timeout: float = 10.0) -> OpenAIModel:
    settings = Settings(openai_api_key=key, openai_base_url=url, openai_timeout_seconds=timeout)
    return OpenAIModel(resolve_model(name), Endpoint.of(settings, name))


def embedder_at(server: OpenAIServer) -> Embedder:
    return Embedder(model_at(server.url), normalize=False)


@pytest.mark.parametrize(
    ("name", "dimensions"),
    [
        ("text-embedding-3-small", 1536),
        ("text-embedding-3-large", 3072),
        ("text-embedding-ada-002", 1536),
    ],
)
def test_the_models_have_the_sizes_openai_states(name: str, dimensions: int) -> None:
    spec = resolve_model(name)
    assert (spec.name, spec.dimensions, spec.max_tokens) == (name, dimensions, 8191)


def test_texts_are_cut_for_them_as_for_the_packaged_model() -> None:
    ours, packaged = (resolve_model(name).tokenizer() for name in (MODEL, PACKAGED_MODEL))
    assert ours.fingerprint == packaged.fingerprint


@pytest.mark.parametrize("packed", [True, False])
def test_every_row_is_the_vector_of_its_text(server: OpenAIServer, packed: bool) -> None:
    server.base64 = packed
    server.form = lambda data: data[::-1]
    vectors = model_at(server.url).encode(TEXTS)
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors, np.stack([vector_of(text) for text in TEXTS]))
    assert server.requests == [TEXTS]


def test_no_request_is_over_the_items_allowed(server: OpenAIServer) -> None:
    texts = [str(number) for number in range(2048 + 52)]
    batch = embedder_at(server).embed(texts)
    assert sorted(map(len, server.requests)) == [52, 2048]
    assert server.refused == []
    assert np.array_equal(batch.vectors, np.stack([vector_of(text) for text in texts]))


def test_no_request_is_over_the_tokens_allowed_were_every_byte_a_token(
    server: OpenAIServer,
) -> None:
    server.count = lambda text: len(text.encode())
    texts = [f"{number:04}" + "碳" * (number * 20) for number in range(110)]
    batch = embedder_at(server).embed(texts)
    assert server.refused == []
    assert batch.failures == {}
    size = sum(map(server.count, texts))
    assert len(server.requests) == -(-size // 300_000) == 2


@pytest.mark.parametrize("bad", ["word " * 8193, ""])
def test_a_text_the_service_refuses_fails_alone(server: OpenAIServer, bad: str) -> None:
    texts = [*TEXTS, bad, *(f"more {number}" for number in range(11))]
    batch = embedder_at(server).embed(texts)
    assert {row: error.reason for row, error in batch.failures.items()} == {4: "refused"}
    assert server.refused[-1] in str(batch.failures[4])
    good = [row for row in range(len(texts)) if row != 4]
    assert np.array_equal(batch.vectors[good], np.stack([vector_of(texts[i]) for i in good]))


def test_a_text_of_more_bytes_than_tokens_allowed_is_the_services_to_judge(
    server: OpenAIServer,
) -> None:
    assert embedder_at(server).embed(["sustainability " * 1000]).failures == {}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "1"}, 1.0),
        ({"retry-after-ms": "700", "retry-after": "1"}, 0.7),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "650ms"}, 0.65),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_a_server_asks_for_is_kept(
    server: OpenAIServer, headers: dict[str, str], seconds: float, status: int
) -> None:
    server.script = [Reply(status, RATE_LIMIT, headers)]
    with stamina.set_testing(False):
        encoded = encoding.encode_batch(model_at(server.url), TEXTS, normalize=False)
    assert encoded.failures == {}
    first, second = server.arrivals
    assert seconds <= second - first < seconds + 1


@pytest.mark.parametrize("status", [0, 408, 409, 429, 500, 502, 503, 529])
def test_what_passes_is_asked_again(server: OpenAIServer, status: int) -> None:
    server.script = [Reply(status, {"message": "later"})] * 4
    encoded = encoding.encode_batch(model_at(server.url), TEXTS, normalize=False)
    assert encoded.failures == {}
    assert server.requests == [TEXTS] * 5


def test_the_retries_of_the_client_do_not_multiply_ours(server: OpenAIServer) -> None:
    server.script = [Reply(500, {"message": "broken"})] * 99
    with pytest.raises(EmbeddingFailed, match="500"):
        encoding.encode_batch(model_at(server.url), TEXTS, normalize=False)
    assert len(server.requests) == encoding.ATTEMPTS


def test_a_wait_longer_than_a_run_is_an_error_that_states_it(server: OpenAIServer) -> None:
    server.script = [Reply(429, RATE_LIMIT, {"retry-after": str(LONGEST_WAIT + 60)})]
    with pytest.raises(EmbeddingFailed, match="180 s"):
        embedder_at(server).embed(TEXTS)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("reply", "names"),
    [
        (Reply(401, {"message": f"Incorrect API key provided: {KEY}"}), "OPENAI_API_KEY"),
        (Reply(403, {"message": f"{KEY} may not use this model"}), "OPENAI_API_KEY"),
        (Reply(404, {"message": "no such model"}), "GREENLANG_EMBEDDING_MODEL"),
        (Reply(404, body=b"<html>not found</html>"), "OPENAI_BASE_URL"),
        (Reply(400, {"message": "no such model", "param": "model"}), "GREENLANG_EMBEDDING_MODEL"),
        (Reply(429, {"message": "quota", "code": "insufficient_quota"}), "limit"),
        (Reply(405, {"message": "no POST here"}), "OPENAI_BASE_URL"),
    ],
)
def test_what_does_not_pass_is_asked_once_and_says_what_to_set(
    server: OpenAIServer, reply: Reply, names: str
) -> None:
    server.script = [reply]
    with pytest.raises(ModelUnavailable) as caught:
        embedder_at(server).embed(TEXTS)
    assert str(reply.status) in caught.value.message
    assert names in caught.value.remedy
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [0, 400, 401, 403, 404, 429, 500])
def test_the_key_is_in_no_error_and_no_log(
    server: OpenAIServer, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    server.script = [Reply(status, {"message": f"Your key is {KEY}."})] * 99
    embedder = embedder_at(server)
    with caplog.at_level(logging.DEBUG):
        try:
            said = str(list(embedder.embed(TEXTS).failures.values()))
        except GreenLangError as error:
            said = "".join(traceback.format_exception(error)) + repr(error) + repr(error.__cause__)
    assert "http" in caplog.text
    for place in (said, caplog.text, repr(embedder.model), str(vars(embedder.model))):
        assert KEY not in place


def test_no_server_at_the_place_is_an_error_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(EmbeddingFailed, match=r"127\.0\.0\.1 cannot be reached"):
        encoding.encode_batch(model_at(f"http://127.0.0.1:{port}/v1"), TEXTS, normalize=False)


def test_a_server_that_does_not_answer_in_time_is_asked_again(server: OpenAIServer) -> None:
    server.delay = 0.5
    with pytest.raises(TransientModelError, match="cannot be reached"):
        model_at(server.url, timeout=0.1).encode(TEXTS)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, body=b"<html>log in</html>", headers={"content-type": "text/html"}),
        Reply(200, body=b"{"),
        Reply(200, body=b"{}"),
        Reply(200, body=b'{"data": []}'),
        Reply(200, body=b'{"data": [{"index": 0, "embedding": "AAA="}]}'),
        Reply(200, body=b'{"data": [{"index": 0, "embedding": [1.0, 2.0]}]}'),
    ],
)
def test_a_reply_without_embeddings_stops_everything(server: OpenAIServer, reply: Reply) -> None:
    server.script = [reply]
    with pytest.raises(EmbeddingFailed, match="GREENLANG_EMBEDDING_MODEL"):
        embedder_at(server).embed(TEXTS)
    assert len(server.requests) == 1


def test_a_reply_that_leaves_a_text_out_is_asked_for_in_halves(server: OpenAIServer) -> None:
    server.form = lambda data: data[:3]
    batch = embedder_at(server).embed(TEXTS)
    assert batch.failures == {}
    assert list(map(len, server.requests)) == [4, 2, 2]


def test_requests_of_several_threads_run_at_once(server: OpenAIServer) -> None:
    server.delay = 0.2
    model = model_at(server.url)
    with ThreadPoolExecutor(4) as pool:
        vectors = list(pool.map(lambda text: model.encode([text])[0], TEXTS))
    assert server.most > 1
    assert np.array_equal(np.stack(vectors), np.stack([vector_of(text) for text in TEXTS]))


@pytest.mark.parametrize("key", [None, "", "  ", "sk-ключ", "sk-one two", "sk-a\nb"])
def test_a_missing_or_impossible_key_says_what_to_set(key: str | None) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        Endpoint.of(Settings(openai_api_key=key), MODEL)
    assert "GREENLANG_OPENAI_API_KEY" in caught.value.remedy
    assert not (key and key.strip() and key in str(caught.value))


def test_the_line_end_of_a_key_read_from_a_file_is_no_part_of_it(server: OpenAIServer) -> None:
    assert model_at(server.url, key=f"{KEY}\n").encode(["text"]).shape == (1, DIMENSIONS)


def test_the_key_and_the_place_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere/v1")
    assert str(Settings().openai_base_url) == "https://api.openai.com/v1"
    monkeypatch.setenv("GREENLANG_OPENAI_API_KEY", KEY)
    monkeypatch.setenv("GREENLANG_OPENAI_BASE_URL", "http://gateway:8000/v1")
    endpoint = Endpoint.of(Settings(), MODEL)
    assert endpoint.base_url == "http://gateway:8000/v1"
    assert endpoint.api_key.get_secret_value() == KEY
    assert KEY not in repr(endpoint) + repr(Settings())


def test_the_client_is_imported_when_the_first_text_needs_it() -> None:
    code = (
        "import sys\n"
        "from greenlang_vectors.embedding import opening, openai_api\n"
        "print({'openai', 'torch', 'sentence_transformers'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
