"""A process to be killed: exports a namespace, slow on purpose.

Usage: export.py DATABASE_URL NAMESPACE FOLDER DATA_DIR
Prints "ready" when the work begins.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from greenlang_vectors.backup import export, programs
from greenlang_vectors.lifecycle.location import open_location
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database

SECONDS_PER_BLOCK = 0.004


def main(url: str, namespace: str, folder: str, data_dir: str) -> None:
    programs.BLOCK_BYTES = 4096
    print("ready", flush=True)
    export.create(
        Database(url),
        open_location(folder),
        namespace,
        settings=Settings(data_dir=Path(data_dir), backup_compression="none"),
        progress=lambda *_: time.sleep(SECONDS_PER_BLOCK),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
