"""Runs the benchmarks named on the command line, or all but `acceptance`, the longest."""

from __future__ import annotations

import sys

from benchmarks import (
    acceptance,
    api,
    audit,
    backup,
    dual_write,
    extraction,
    filtered,
    index_build,
    load,
    memory,
    migration,
    pipeline,
    planning,
    search,
    sustained,
    write_path,
)

BENCHMARKS = {
    "pipeline": pipeline.main,
    "extraction": extraction.main,
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


def main() -> None:
    """Run them one after the other, each printing its table."""
    names = sys.argv[1:] or [name for name in BENCHMARKS if name != "acceptance"]
    unknown = set(names) - BENCHMARKS.keys()
    if unknown:
        sys.exit(f"Unknown benchmark {', '.join(unknown)}; known: {', '.join(BENCHMARKS)}.")
    for name in names:
        BENCHMARKS[name]()


if __name__ == "__main__":
    main()
