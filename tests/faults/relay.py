"""A process whose children are to be killed: each relays what is noted of a namespace.

Usage: relay.py DATABASE_URL NAMESPACE WEAVIATE_URL GRPC_PORT
For each line of input a child begins, and its process id is printed; when it has ended, its status.
Documents are carried a few at a time, so that there is much to be interrupted.
"""

from __future__ import annotations

import os
import sys

from greenlang_vectors.migration import calls, relay, server  # noqa: F401 - before the fork
from greenlang_vectors.migration.peer import open_peer
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database


def work(url: str, namespace: str, weaviate_url: str, grpc_port: str) -> None:
    relay.PASSAGES, relay.NOTES = 4, 10
    settings = Settings(weaviate_url=weaviate_url, weaviate_grpc_port=int(grpc_port))
    with open_peer(settings) as peer:
        relay.relay(Database(url), peer, namespace)


def main(*arguments: str) -> None:
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            status = 1
            try:
                work(*arguments)
                status = 0
            finally:
                os._exit(status)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
