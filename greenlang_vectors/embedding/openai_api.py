"""OpenAI's embedding models (PRD 5.3), through the official client.

Whatever goes wrong becomes an error without the key in it: neither in its words nor in a chain of
causes that a log would print.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import SecretStr

from greenlang_vectors.embedding.models import ModelSpec, TransientModelError
from greenlang_vectors.embedding.retry_after import retry_after
from greenlang_vectors.errors import EmbeddingFailed, ModelUnavailable
from greenlang_vectors.settings import Settings

if TYPE_CHECKING:
    from openai import APIStatusError, OpenAI
    from openai.types import CreateEmbeddingResponse

LONGEST_WAIT = 120.0
"""Seconds of waiting that a server may ask for; a run that needs more ends and is run again."""

SET_KEY = "Set GREENLANG_OPENAI_API_KEY to a key that may use it."
SET_PLACE = "Check GREENLANG_EMBEDDING_MODEL and GREENLANG_OPENAI_BASE_URL."


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and with which key a remote model is asked."""

    base_url: str
    api_key: SecretStr
    timeout_seconds: float

    @classmethod
    def of(cls, settings: Settings, model_name: str) -> Endpoint:
        """The endpoint of these settings.

        Raises:
            ModelUnavailable: there is no key, or one that no header can carry.
        """
        key = settings.openai_api_key.get_secret_value().strip() if settings.openai_api_key else ""
        if not key:
            raise ModelUnavailable(f"The model {model_name} needs an API key.", SET_KEY)
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise ModelUnavailable("The API key holds characters no key has.", SET_KEY)
        return cls(str(settings.openai_base_url), SecretStr(key), settings.openai_timeout_seconds)


class OpenAIModel:
    """An `EmbeddingModel` that asks an OpenAI server; requests of several threads run at once.

    The client's own retries are off: `encode_batch` tries again.
    """

    def __init__(self, spec: ModelSpec, endpoint: Endpoint) -> None:
        self.spec = spec
        self._endpoint = endpoint
        self._opening = threading.Lock()

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """A bound on the tokens of each text: its bytes as UTF-8.

        The models' tokenizer (cl100k_base) joins bytes, so that it never makes more tokens than
        there are bytes; of EU regulations in English it makes one of 5.0. Its vocabulary would
        have to be downloaded.
        """
        return [len(text.encode()) for text in texts]

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `EmbeddingModel.encode`; all texts are one request."""
        import openai  # noqa: PLC0415 - a second

        with self._opening:
            client = self._client
        try:
            reply = client.embeddings.create(
                model=self.spec.name, input=list(texts), encoding_format="base64"
            )
        except openai.APIStatusError as error:
            failure = self._refusal(error)
        except openai.APIConnectionError as error:
            cause = type(error.__cause__).__name__
            failure = TransientModelError(f"{self._place} cannot be reached ({cause})")
        except (openai.OpenAIError, ValueError) as error:
            failure = self._no_embeddings(error)
        else:
            return self._vectors(reply)
        raise failure  # here, not above: the client's error would be printed as its context

    @cached_property
    def _client(self) -> OpenAI:
        import openai  # noqa: PLC0415

        return openai.OpenAI(
            api_key=self._endpoint.api_key.get_secret_value(),
            base_url=self._endpoint.base_url,
            timeout=self._endpoint.timeout_seconds,
            max_retries=0,
        )

    @property
    def _place(self) -> str:
        """The server, without what its URL may hold beside."""
        return str(self._client.base_url.host)

    def _vectors(self, reply: CreateEmbeddingResponse) -> NDArray[np.float32]:
        """The reply's vectors in the order of the texts; shape (n, dimensions)."""
        try:
            items = sorted(reply.data, key=lambda item: item.index)
            return np.array([_vector(item.embedding) for item in items], dtype=np.float32)
        except (AttributeError, TypeError, ValueError) as error:
            failure = self._no_embeddings(error)
        raise failure

    def _refusal(self, error: APIStatusError) -> Exception:
        """What a reply of 4xx or 5xx means to the caller."""
        status = error.status_code
        said = f"{self._place} answers {status} for {self.spec.name}: {self._words(error)}"
        if status in {400, 413, 422} and error.param != "model":
            return ValueError(said)
        if error.code == "insufficient_quota":
            return ModelUnavailable(f"{said}.", "Raise the account's limit, then run again.")
        if status in {408, 409, 429} or status >= 500:
            return _passing(said, retry_after(error.response.headers))
        return ModelUnavailable(f"{said}.", SET_KEY if status in {401, 403} else SET_PLACE)

    def _words(self, error: APIStatusError) -> str:
        """The server's own words, short and without the key (a 401 repeats parts of it)."""
        if error.status_code == 401:
            return "the API key is not accepted"
        body = error.body
        words = str(body["message"] if isinstance(body, dict) and "message" in body else body)
        words = words.replace(self._endpoint.api_key.get_secret_value(), "***")
        return " ".join(words.split())[:300].rstrip(".")

    def _no_embeddings(self, error: Exception) -> EmbeddingFailed:
        return EmbeddingFailed(
            f"{self._place} answers with something that holds no embeddings of {self.spec.name} "
            f"({type(error).__name__}).",
            SET_PLACE,
        )


def _passing(said: str, wait: float | None) -> Exception:
    """A refusal that passes, unless the server asks for longer than a run should wait."""
    if wait is not None and wait > LONGEST_WAIT:
        return EmbeddingFailed(
            f"{said}, and asks for {wait:.0f} s of waiting.",
            "Run again then: what was embedded until now is kept.",
        )
    return TransientModelError(said, wait)


def _vector(embedding: str | list[float]) -> NDArray[np.float32]:
    """A vector sent as base64 of little-endian float32, or as numbers by a server that must."""
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding), dtype="<f4")
    return np.asarray(embedding, dtype=np.float32)
