"""Exports: everything of a namespace and nothing of another, of one moment, and back again."""

from __future__ import annotations

import os
import stat
import threading
from importlib import metadata
from pathlib import Path

import psycopg
import pytest

from greenlang_vectors.backup import contents, exports, verification
from greenlang_vectors.backup.errors import ExportFailed, ProgramFailed
from greenlang_vectors.backup.export import create
from greenlang_vectors.backup.manifest import load
from greenlang_vectors.backup.restore import restore
from greenlang_vectors.errors import UnknownNamespace, UsageError
from greenlang_vectors.lifecycle.location import Location
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import namespaces, roles, schema
from greenlang_vectors.store.database import Database

from ..conftest import AddDocument
from .conftest import ASKED, DOCUMENTS, MARK, PASSAGES, Filled, everything_of, rows_of

pytestmark = pytest.mark.integration


def test_a_namespace_that_is_lost_comes_back_as_it_was(
    filled: Filled, location: Location, settings: Settings
) -> None:
    with filled.database.connect() as connection:
        before = everything_of(connection, filled.name)
        shared = {t: rows_of(connection, t) for t in ("namespaces", "embedding_collections")}
        made = create(filled.database, location, filled.name, settings=settings)
        assert made is not None
        namespaces.drop(connection, filled.name)
        report = restore(filled.database, location, made.export, settings=settings)
        assert report.rows == made.rows > 0
        assert everything_of(connection, filled.name) == before
        assert {table: rows_of(connection, table) for table in shared} == shared
        assert rows_of(connection, f"vector_search_logs_{filled.name}") == []
        left = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'restoring'::regnamespace"
        )
        assert left.fetchall() == []


def test_an_export_holds_nothing_of_another_namespace_and_no_question(
    filled: Filled, location: Location, folder: Path, settings: Settings, elsewhere: Database
) -> None:
    plain = settings.model_copy(update={"backup_compression": "none"})
    made = create(filled.database, location, filled.name, settings=plain)
    assert made is not None
    written = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert written.count(MARK.format(filled.name).encode()) >= DOCUMENTS * PASSAGES
    assert b"csrd_other" not in written
    assert ASKED.encode() not in written
    restore(elsewhere, location, made.export, settings=settings)
    with elsewhere.connect() as connection:
        assert [each.name for each in namespaces.list_all(connection)] == [filled.name]
        for table in ("documents", "vector_embeddings", "vector_audit_log", "dead_letters"):
            found = connection.execute(f"SELECT DISTINCT namespace FROM {table}")  # type: ignore[call-overload]
            assert found.fetchall() == [(filled.name,)]


def test_every_table_is_exported_or_left_out_with_a_reason(
    filled: Filled, location: Location, settings: Settings
) -> None:
    made = create(filled.database, location, filled.name, settings=settings)
    assert made is not None
    exported = {table.root for table in load(location, made.export).tables}
    with filled.database.connect() as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'p') AND NOT relispartition"
        )
        known = {name for (name,) in tables}
    assert exported | contents.LEFT_OUT.keys() | contents.OF_NO_NAMESPACE.keys() == known
    assert not exported & (contents.LEFT_OUT.keys() | contents.OF_NO_NAMESPACE.keys())


def test_the_manifest_tells_what_was_exported(
    filled: Filled, location: Location, settings: Settings
) -> None:
    made = create(filled.database, location, filled.name, settings=settings)
    assert made is not None
    manifest = load(location, made.export)
    verification.verify(location, manifest)
    tables = {table.name: table for table in manifest.tables}
    leaf = tables[filled.leaf.name]
    assert leaf.rows == DOCUMENTS * PASSAGES
    assert any(" USING hnsw " in definition for definition in leaf.indexes.values())
    assert tables[f"documents_{filled.name}"].rows == DOCUMENTS
    assert {each.name for each in manifest.leaves} == {filled.leaf.name, filled.other.name}
    assert manifest.schema_version == schema.head()
    assert manifest.server_version.startswith("18.")
    assert manifest.pgvector_version.startswith("0.8.")
    assert manifest.source_revision.startswith(metadata.version("greenlang-vectors"))
    assert manifest.master_keys == ()
    [listed] = exports.list_exports(location)
    assert (listed.id, listed.state, listed.pinned) == (made.export, "unproven", False)


def test_a_write_in_flight_is_whole_in_the_export_or_not_at_all(
    database: Database,
    location: Location,
    settings: Settings,
    add_document: AddDocument,
    elsewhere: Database,
) -> None:
    name, done = "busy", threading.Event()
    with database.connect() as connection:
        namespaces.register(connection, name)
        add_document(connection, name, "first.txt", ["one", "two"])

    def write() -> None:
        with database.connect() as connection:
            number = 0
            while not done.is_set():
                with connection.transaction():
                    for part in "ab":
                        add_document(connection, name, f"{number}{part}.txt", ["x", "y", "z"])
                number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = [create(database, location, name, settings=settings) for _ in range(2)]
    finally:
        done.set()
        writer.join()
    counts = []
    for each in made:
        assert each is not None
        restore(elsewhere, location, each.export, settings=settings, replace=True)
        with elsewhere.connect() as connection:
            chunks = dict(
                connection.execute(
                    "SELECT source_key, (SELECT count(*) FROM document_chunks c"
                    " WHERE c.document_id = d.id) FROM documents d WHERE source_key <> 'first.txt'"
                ).fetchall()
            )
        assert set(chunks.values()) <= {3}
        assert {key[:-5] for key in chunks if key[-5] == "a"} == {
            key[:-5] for key in chunks if key[-5] == "b"
        }
        counts.append(len(chunks))
    assert counts == sorted(counts)
    assert counts[-1] > counts[0]


def test_an_empty_namespace_is_not_exported_and_one_that_was_emptied_is_an_error(
    database: Database, location: Location, settings: Settings, add_document: AddDocument
) -> None:
    with database.connect() as connection:
        namespaces.register(connection, "hollow")
        assert create(database, location, "hollow", settings=settings) is None
        assert location.keys("pgvector") == []
        add_document(connection, "hollow", "a.txt", ["one"])
        made = create(database, location, "hollow", settings=settings)
        connection.execute("DELETE FROM documents WHERE namespace = 'hollow'")
        with pytest.raises(ExportFailed, match="holds no document and no embedding any more"):
            create(database, location, "hollow", settings=settings)
    assert made is not None
    assert [each.id for each in exports.list_exports(location)] == [made.export]
    with pytest.raises(UnknownNamespace):
        create(database, location, "nobody", settings=settings)


def program(folder: Path, name: str, script: str) -> Path:
    """A program of this name that is a shell script."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return path


def test_a_pg_dump_that_is_too_old_is_refused_before_anything_is_done(
    filled: Filled, location: Location, settings: Settings, tmp_path: Path
) -> None:
    program(tmp_path / "bin", "pg_dump", 'echo "pg_dump (PostgreSQL) 15.9 (Debian 15.9-1)"')
    old = settings.model_copy(update={"pg_bin_dir": tmp_path / "bin"})
    with pytest.raises(UsageError, match=r"18 or newer is needed, and .* is 15\.9"):
        create(filled.database, location, filled.name, settings=old)
    none = settings.model_copy(update={"pg_bin_dir": tmp_path})
    with pytest.raises(UsageError, match="there is none"):
        create(filled.database, location, filled.name, settings=none)
    assert location.keys("pgvector") == []


def test_a_pg_dump_that_fails_half_way_leaves_nothing(
    filled: Filled, location: Location, settings: Settings, tmp_path: Path
) -> None:
    program(
        tmp_path / "bin",
        "pg_dump",
        'test "$1" = --version && { echo "pg_dump (PostgreSQL) 18.4"; exit; }\n'
        "head -c 3000000 /dev/zero\n"
        'echo "pg_dump: error: connection to server was lost" >&2\nexit 1',
    )
    broken = settings.model_copy(update={"pg_bin_dir": tmp_path / "bin"})
    with pytest.raises(ProgramFailed, match="connection to server was lost"):
        create(filled.database, location, filled.name, settings=broken)
    assert location.keys("pgvector") == []
    assert create(filled.database, location, filled.name, settings=settings) is not None


def test_the_password_reaches_pg_dump_by_its_environment_alone(
    filled: Filled,
    location: Location,
    settings: Settings,
    server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen, password = tmp_path / "seen", "correct horse battery"
    program(
        tmp_path / "bin",
        "pg_dump",
        'test "$1" = --version && { echo "pg_dump (PostgreSQL) 18.4"; exit; }\n'
        f'printf "%s\\n" "$@" > {seen}; printenv PGPASSWORD > {seen}.env; exit 1',
    )
    name = filled.database.name.rpartition("/")[2]
    with psycopg.connect(server, dbname=name, autocommit=True) as superuser:
        roles.create_login(superuser, "backup_login", "admin", [], password)
        monkeypatch.setenv("PGPASSWORD", "")
        host = superuser.info.host
        url = (
            f"postgresql://backup_login:{password.replace(' ', '%20')}@/{superuser.info.dbname}"
            f"?host={host}"
        )
        database = Database(url)
        with pytest.raises(ProgramFailed):
            create(
                database,
                location,
                filled.name,
                settings=settings.model_copy(update={"pg_bin_dir": tmp_path / "bin"}),
            )
        assert password not in seen.read_text()
        assert Path(f"{seen}.env").read_text().strip() == password
        assert os.environ["PGPASSWORD"] == ""
        made = create(database, location, filled.name, settings=settings)
        assert made is not None
        for path in Path(settings.backup_location).rglob("manifest.json"):
            assert password not in path.read_text()
        database.close()
        roles.drop_login(superuser, "backup_login")
