"""A process whose children are to be killed: each carries over what is left of a namespace.

Usage: backfill.py DATABASE_URL NAMESPACE FOLDER WEAVIATE_URL GRPC_PORT [EXPORTS]
For each line of input a child begins: its process id is printed, "reading" and "landed" when it
comes so far for the first time, and its status when it has ended.
Modules are imported once, so that a child is at work within milliseconds.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from greenlang_vectors.lifecycle.location import open_location
from greenlang_vectors.migration import calls, server  # noqa: F401 - so would `open_peer`
from greenlang_vectors.migration.backfill import backfill
from greenlang_vectors.migration.peer import open_peer
from greenlang_vectors.migration.server_export import Exports
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database


def work(
    url: str,
    namespace: str,
    folder: str,
    weaviate_url: str,
    grpc_port: str,
    exported: str | None = None,
) -> None:
    """Args: exported: where the server exports to, if that is to be read."""
    words = ["landed", "reading"]

    def tell(*_: object) -> None:
        if words:
            print(words.pop(), flush=True)

    settings = Settings(weaviate_url=weaviate_url, weaviate_grpc_port=int(grpc_port))
    exports = Exports("filesystem", open_location(exported)) if exported else None
    with open_peer(settings) as peer:
        backfill(
            Database(url),
            namespace,
            peer=peer,
            location=open_location(folder),
            exports=exports,
            progress=tell,
        )


def serve(work: Callable[..., None], *arguments: str) -> None:
    """A child that does the work for each line of input."""
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            status = 1
            try:
                work(*arguments)
                status = 0
            finally:
                sys.stderr.flush()
                os._exit(status)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    serve(work, *sys.argv[1:])
