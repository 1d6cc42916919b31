"""Runs the benchmarks named on the command line, or all but those of `LONG`."""

from __future__ import annotations

import sys

from benchmarks import (
    acceptance,
    api,
    audit,
    backup,
    chunking,
    dual_write,
    embedding,
    embedding_cache,
    extraction,
    filtered,
    index_build,
    load,
    memory,
    migration,
    ocr,
    pipeline,
    planning,
    search,
    sources,
    sustained,
    write_path,
)

BENCHMARKS = {
    "pipeline": pipeline.main,
    "extraction": extraction.main,
    "ocr": ocr.main,
    "sources": sources.main,
    "chunking": chunking.main,
    "embedding": embedding.main,
    "embedding_cache": embedding_cache.main,
    "memory": memory.main,
    "write_path": write_path.main,
    "index_build": index_build.main,
    "filtered": filtered.main,
    "search": search.main,
    "api": api.main,
    "sustained": sustained.main,
    "audit": audit.main,
    "backup": backup.main,
    "dual_write": dual_write.main,
    "migration": migration.main,
    "load": load.main,
    "planning": planning.main,
    "acceptance": acceptance.main,
}


LONG = {"acceptance", "chunking", "ocr"}
"""Not among "all"."""


def main() -> None:
    """Run them one after the other, each printing its table."""
    names = sys.argv[1:] or [name for name in BENCHMARKS if name not in LONG]
    unknown = set(names) - BENCHMARKS.keys()
    if unknown:
        sys.exit(f"Unknown benchmark {', '.join(unknown)}; known: {', '.join(BENCHMARKS)}.")
    for name in names:
        BENCHMARKS[name]()


if __name__ == "__main__":
    main()
