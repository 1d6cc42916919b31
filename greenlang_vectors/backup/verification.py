"""Reading exports back, byte by byte: nothing is handed out that is not what was written."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from greenlang_vectors.backup.errors import ExportDamaged
from greenlang_vectors.backup.manifest import DUMP, ROWS, ExportedObject, Manifest, key
from greenlang_vectors.lifecycle.location import Hashed, Location
from greenlang_vectors.progress import Progress, silent

Object = Callable[[str], Path | None]


def verify(location: Location, manifest: Manifest, progress: Progress = silent) -> None:
    """Read every object of an export and compare it with its manifest.

    What bytes cannot tell, whether they restore to what was exported, a drill does.

    Raises:
        ExportDamaged: it holds nothing, or an object is missing or not what was written.
    """
    check_complete(manifest)
    done = 0
    for each in manifest.objects:
        for block in _checked(location, manifest, each):
            done += len(block)
            progress(done // 2**20, manifest.size_bytes // 2**20, "MiB")


def check_complete(manifest: Manifest) -> None:
    """See that what a manifest says can be an export.

    Raises:
        ExportDamaged: it holds neither documents nor embeddings, or names no object for a table.
    """
    if manifest.is_empty:
        raise ExportDamaged(manifest.export, "it holds no row")
    needed = {DUMP, *(f"{ROWS}/{t.name}" for t in manifest.tables if t.shared and t.rows)}
    if missing := needed - {each.name for each in manifest.objects}:
        raise ExportDamaged(manifest.export, f"it has no {', '.join(sorted(missing))}")


@contextmanager
def fetched(
    location: Location, manifest: Manifest, progress: Progress = silent
) -> Iterator[Object]:
    """The objects of an export as files, each compared with its manifest before any is handed out.

    Of a folder they are read where they are; of a bucket, copies that are gone at the end.

    Yields:
        the file of an object's name; None where the export has none.

    Raises:
        ExportDamaged: as of `verify`.
    """
    check_complete(manifest)
    done = 0
    with tempfile.TemporaryDirectory(prefix="glv-restore-") as folder:
        files = {}
        for number, each in enumerate(manifest.objects):
            file = location.path(key(manifest.export, each.name))
            copy = None if file is not None else Path(folder) / str(number)
            for block in _checked(location, manifest, each):
                if copy is not None:
                    with copy.open("ab") as opened:
                        opened.write(block)
                done += len(block)
                progress(done // 2**20, manifest.size_bytes // 2**20, "MiB")
            files[each.name] = file or copy
        yield files.get


def _checked(location: Location, manifest: Manifest, each: ExportedObject) -> Iterator[bytes]:
    """The blocks of an object, compared with the manifest after the last."""
    blocks = location.stream(key(manifest.export, each.name))
    if blocks is None:
        raise ExportDamaged(manifest.export, f"{each.name} is missing")
    hashed = Hashed(blocks)
    yield from hashed
    size, sha256 = hashed.result.size_bytes, hashed.result.sha256
    if size != each.size_bytes:
        raise ExportDamaged(manifest.export, f"{each.name} has {size} bytes, not {each.size_bytes}")
    if sha256 != each.sha256:
        raise ExportDamaged(manifest.export, f"{each.name} does not match its SHA-256")
