"""A process to be killed: archives a namespace in small pieces, slow on purpose.

Usage: archive.py DATABASE_URL NAMESPACE FOLDER
Prints "ready" when the work begins.
"""

from __future__ import annotations

import sys
import time
from datetime import timedelta

from greenlang_vectors.lifecycle import archive
from greenlang_vectors.lifecycle.location import open_location
from greenlang_vectors.store.database import Database

SECONDS_PER_PAGE = 0.01


def main(url: str, namespace: str, folder: str) -> None:
    archive.PAGE_ROWS, archive.PART_BYTES = 10, 20_000
    print("ready", flush=True)
    archive.archive(
        Database(url),
        open_location(folder),
        namespace,
        older_than=timedelta(days=180),
        progress=lambda *_: time.sleep(SECONDS_PER_PAGE),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
