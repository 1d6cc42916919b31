"""A server on the loopback that answers as OpenAI's embeddings endpoint does."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from numpy.typing import NDArray

KEY = "sk-proj-0123456789abcdefghijklmnopqrstuvwxyz"
MODEL = "text-embedding-3-small"
DIMENSIONS = 1536
ITEMS, REQUEST_TOKENS, TEXT_TOKENS = 2048, 300_000, 8192


def vector_of(text: str) -> NDArray[np.float32]:
    """What the server gives for a text, of length one."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    vector = np.random.default_rng(seed).standard_normal(DIMENSIONS)
    return (vector / np.linalg.norm(vector)).astype("<f4")


@dataclass
class Reply:
    """An answer given instead of embeddings; status 0 hangs up."""

    status: int
    error: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass
class OpenAIServer:
    """What a test says the server does, and what the server saw.

    Attributes:
        script: replies of the next requests, before it answers as it should.
        count: tokens of a text.
        form: how `data` is changed before it is sent.
        delay: seconds before it answers.
        requests: texts of each request; `arrivals` the moments they came.
        refused: messages of the requests that broke a limit.
        most: requests that ran at once.
    """

    script: list[Reply] = field(default_factory=list)
    count: Callable[[str], int] = lambda text: len(text.split())
    form: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = lambda data: data
    base64: bool = True
    delay: float = 0.0
    url: str = ""
    requests: list[list[str]] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    most: int = 0
    running: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, request: Mapping[str, Any], authorization: str | None) -> Reply:
        """The reply to one request, in the order in which OpenAI checks."""
        texts: Sequence[str] = request["input"]
        with self.lock:
            self.requests.append(list(texts))
            self.arrivals.append(time.monotonic())
            scripted = self.script.pop(0) if self.script else None
        if scripted:
            return scripted
        if authorization != f"Bearer {KEY}":
            given = (authorization or "").removeprefix("Bearer ")
            return Reply(401, {"message": f"Incorrect API key provided: {given}."})
        if request["model"] != MODEL:
            return Reply(404, {"message": "The model does not exist", "code": "model_not_found"})
        if wrong := self._broken_limit(texts):
            self.refused.append(wrong)
            return Reply(400, {"message": wrong, "param": "input"})
        packed = self.base64 and request.get("encoding_format") == "base64"
        data = [
            {
                "object": "embedding",
                "index": index,
                "embedding": base64.b64encode(vector_of(text).tobytes()).decode()
                if packed
                else vector_of(text).tolist(),
            }
            for index, text in enumerate(texts)
        ]
        body = {"object": "list", "data": self.form(data), "model": MODEL, "usage": {}}
        return Reply(200, body=json.dumps(body).encode())

    def _broken_limit(self, texts: Sequence[str]) -> str | None:
        counts = [self.count(text) for text in texts]
        if len(texts) > ITEMS:
            return f"'$.input' is too long: {len(texts)} items"
        if "" in texts:
            return "'$.input' is invalid: empty string"
        if max(counts) > TEXT_TOKENS:
            return f"maximum context length is {TEXT_TOKENS} tokens, you requested {max(counts)}"
        if sum(counts) > REQUEST_TOKENS:
            return f"Requested {sum(counts)} tokens, max {REQUEST_TOKENS} tokens per request"
        return None


@contextmanager
def serving(state: OpenAIServer) -> Iterator[OpenAIServer]:
    """The server runs and `state.url` is its base URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with state.lock:
                state.running += 1
                state.most = max(state.most, state.running)
            time.sleep(state.delay)
            reply = state.answer(request, self.headers["authorization"])
            with state.lock:
                state.running -= 1
            if not reply.status:
                self.close_connection = True
                return
            body = reply.body
            if body is None:
                body = json.dumps({"error": reply.error}).encode()
            self.send_response(reply.status)
            headers = {"content-type": "application/json", "content-length": str(len(body))}
            for name, value in (headers | dict(reply.headers)).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that does not wait for the reply is no error."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
