"""`greenlang-vectors dead-letters`, as a person and as a program use it."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from greenlang_vectors.errors import ItemError
from greenlang_vectors.stages.documents import load_documents
from greenlang_vectors.store import dead_letters, namespaces
from greenlang_vectors.store.database import Database

from ..conftest import Cli

pytestmark = pytest.mark.integration


@pytest.fixture
def name(database: Database, tmp_path: Path) -> str:
    """A namespace in whose folder two files cannot be read."""
    name = f"d{uuid4().hex[:12]}"
    for file in ("one.pdf", "[two].pdf"):
        (tmp_path / file).write_bytes(b"no PDF")
    with database.connect() as connection:
        namespaces.register(connection, name, source_uri=str(tmp_path))
    load_documents(database, name, max_bytes=1000, cache_seconds=60)
    return name


def letters(cli: Cli, name: str, *options: str) -> dict[str, str]:
    """Ids by item."""
    found = cli("dead-letters", "list", "--namespace", name, "--json", *options).json
    return {letter["item"]: letter["id"] for letter in found["dead_letters"]}


def test_a_person_sees_what_failed_and_where_the_original_is(
    cli: Cli, name: str, tmp_path: Path
) -> None:
    listed = cli("dead-letters", "list", "--namespace", name, "--stage", "documents")
    assert listed.code == 0
    assert "[two].pdf" in listed.out
    identity = letters(cli, name)["one.pdf"]
    copy = tmp_path.parent / f"{name}.copy"
    shown = cli("dead-letters", "show", identity, "--original", str(copy))
    assert f"one.pdf in {tmp_path}" in " ".join(shown.out.split())
    assert f"dead-letters replay {identity}" in shown.out
    assert copy.read_bytes() == b"no PDF"
    refused = cli("dead-letters", "show", identity, "--original", str(copy))
    assert (refused.code, "cannot be written: File exists" in refused.said) == (2, True)
    as_json = cli("dead-letters", "show", identity, "--json").json
    assert (as_json["item"], as_json["attempts"]) == ("one.pdf", 1)
    assert as_json["original"] == f"one.pdf in {tmp_path}"


def test_what_is_mended_comes_through(cli: Cli, name: str, tmp_path: Path) -> None:
    known = letters(cli, name)
    failed = cli("dead-letters", "replay", "--namespace", name, "--stage", "documents", "--json")
    assert failed.code == 1
    assert [each["settled"] for each in failed.json["replayed"]] == [False, False]
    assert {each["attempts"] for each in failed.json["replayed"]} == {2}
    (tmp_path / "one.pdf").unlink()
    settled = cli("dead-letters", "replay", known["one.pdf"])
    assert settled.code == 0
    assert "settled" in settled.out
    assert "start the job ingest" in settled.said
    assert set(letters(cli, name)) == {"[two].pdf"}


def test_what_something_else_has_to_try_is_left_and_named(
    cli: Cli, name: str, database: Database
) -> None:
    with database.connect() as connection:
        for stage, item in (("import", "line 3 of /data/a b.jsonl"), ("kafka", "a message")):
            dead_letters.record(connection, name, stage, item, ItemError("odd", "It.", "Mend it."))
    again = cli("dead-letters", "replay", "--namespace", name, "--json")
    assert {each["stage"] for each in again.json["replayed"]} == {"documents"}
    command = f"Run `greenlang-vectors import '/data/a b.jsonl' --namespace {name}`."
    for said in (command, "1 dead letters are not replayed here. Mend it."):
        assert said in again.said
    refused = cli("dead-letters", "replay", letters(cli, name)["line 3 of /data/a b.jsonl"])
    assert (refused.code, command in refused.said) == (2, True)


def test_giving_up_asks_and_is_shown_from_then_on_where_it_is_asked_for(
    cli: Cli, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = letters(cli, name)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "n")
    assert cli("dead-letters", "discard", known["one.pdf"]).code == 130
    assert set(letters(cli, name)) == set(known)
    given_up = cli("dead-letters", "discard", known["one.pdf"], "--yes", "--json")
    assert given_up.json == {"discarded": [known["one.pdf"]]}
    assert set(letters(cli, name)) == {"[two].pdf"}
    assert set(letters(cli, name, "--discarded")) == set(known)
    shown = cli("dead-letters", "show", known["one.pdf"]).out
    assert "discarded" in shown
    assert cli("dead-letters", "discard", "--namespace", name, "--yes").code == 0
    assert "There are no dead letters." in cli("dead-letters", "list", "--namespace", name).said


def test_which_letters_are_meant_must_be_said(cli: Cli, name: str) -> None:
    unknown = str(uuid4())
    for arguments, said in {
        ("replay",): "Name the letters by their ids",
        ("discard", "--yes"): "Name the letters by their ids",
        ("replay", unknown, "--namespace", name): "Name the letters by their ids",
        ("show", unknown): f"There is no dead letter {unknown}",
        ("replay", unknown): f"There is no dead letter {unknown}",
        ("list", "--namespace", "nowhere"): "Unknown namespace 'nowhere'",
        ("show", "x"): "'x' is not a valid UUID",
    }.items():
        refused = cli("dead-letters", *arguments)
        assert refused.code == 2
        assert said in refused.said
