"""Ways to damage a healthy namespace's rows, as SQL, and who noticed."""

from __future__ import annotations

from greenlang_vectors.quality.checks import CheckOutcome
from greenlang_vectors.store import embedded
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf

OTHER_HASH = "'" + "0" * 64 + "'"
FIRST = "(SELECT id FROM documents WHERE namespace = %(ns)s AND source_key = 'first.txt')"
CHUNK = f"namespace = %(ns)s AND document_id = {FIRST} AND chunk_index"
EMBEDDING = f"namespace = %(ns)s AND source_id = {FIRST} AND chunk_index"
DOCUMENT = "namespace = %(ns)s AND source_key = 'first.txt'"
SHA256 = "encode(sha256(convert_to({}, 'UTF8')), 'hex')"
OTHER_TEXT = "'owt'"
BLANK = "E'\\u2003\\u001c\\u00a0'"
COPIED = """
    INSERT INTO vector_embeddings (id, source_type, source_id, chunk_index, content_hash,
        content_preview, embedding, embedding_model, embedding_fingerprint, namespace)
    SELECT gen_random_uuid(), {source_type}, {source_id}, {chunk_index}, content_hash,
        content_preview, embedding, embedding_model, embedding_fingerprint, namespace
    FROM vector_embeddings WHERE """


def copied(
    source_type: str = "source_type", source_id: str = "source_id", chunk_index: str = "chunk_index"
) -> str:
    return (
        COPIED.format(source_type=source_type, source_id=source_id, chunk_index=chunk_index)
        + f"{EMBEDDING} = 2"
    )


def failed(outcomes: dict[str, CheckOutcome]) -> set[str]:
    return {name for name, outcome in outcomes.items() if not outcome.passed}


def execute(database: Database, leaf: Leaf, *statements: str) -> None:
    """Damage the tables behind the back of their foreign keys."""
    superuser = Database(database.url.replace(embedded.OWNER, "postgres"))
    with superuser.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            changed = connection.execute(
                statement.replace("LEAF", leaf.table.as_string(connection)).encode(),
                {"ns": leaf.namespace},
            )
            assert changed.rowcount != 0, statement
