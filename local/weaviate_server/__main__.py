"""`python -m local.weaviate_server --objects N`: a server with so many passages, until Ctrl-C."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from local.weaviate_server.samples import PASSAGES, sample_objects
from local.weaviate_server.server import VERSION, WeaviateServer


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted; the first line of output is JSON with the ports."""
    parser = argparse.ArgumentParser(prog="python -m local.weaviate_server")
    parser.add_argument("--objects", type=int, default=1000)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--collection", default="Passages")
    parser.add_argument("--http-port", type=int, default=0)
    parser.add_argument("--grpc-port", type=int, default=0)
    parser.add_argument("--version", default=VERSION, help="the version it calls itself")
    parser.add_argument("--api-key")
    parser.add_argument("--exports", type=Path, help="a folder for the export to `filesystem`")
    asked = parser.parse_args(arguments)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    server = WeaviateServer(
        version=asked.version,
        api_key=asked.api_key,
        exports=asked.exports,
        http_port=asked.http_port,
        grpc_port=asked.grpc_port,
    )
    with server:
        server.control.create({**PASSAGES, "class": asked.collection})
        passages = list(sample_objects(asked.objects, asked.dimensions, asked.seed))
        server.control.put(asked.collection, passages)
        print(
            json.dumps({"http_port": server.http_port, "grpc_port": server.grpc_port}), flush=True
        )
        stopped.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
