"""Folders and corpus files as sources."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from greenlang_vectors.documents.source import (
    FolderSource,
    ItemVanished,
    JsonlSource,
    S3Source,
    SourceItem,
    listing_fingerprint,
    source_from_uri,
)
from greenlang_vectors.documents.sources import s3
from greenlang_vectors.errors import ExtractionError, SourceUnavailable, UsageError

LIMIT = 1_000_000


def keys(source: FolderSource | JsonlSource) -> list[str]:
    return [item.key for item in source.list()]


def read(source: FolderSource | JsonlSource, key: str, limit: int = LIMIT) -> bytes:
    item = next(item for item in source.list() if item.key == key)
    return source.read(item, limit).data


def refused(source: FolderSource | JsonlSource, key: str, limit: int = LIMIT) -> str:
    with pytest.raises(ExtractionError) as caught:
        read(source, key, limit)
    assert caught.value.message
    return caught.value.reason


def test_a_folder_lists_all_its_files_sorted(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.pdf", "a/b/c.md", ".hidden", ".git/x.md", "_evaluation/q.jsonl",
                 "a/_evaluation/kept.txt"):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    source = FolderSource(tmp_path)
    assert keys(source) == ["a/_evaluation/kept.txt", "a/b/c.md", "a/z.pdf", "b.txt"]
    raw = source.read(source.list()[1], LIMIT)
    assert (raw.data, raw.name) == (b"a/b/c.md", "c.md")


def test_a_folder_that_cannot_be_listed_whole_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SourceUnavailable):
        FolderSource(tmp_path / "missing").list()
    (tmp_path / "file").write_text("x")
    with pytest.raises(SourceUnavailable):
        FolderSource(tmp_path / "file").list()

    (tmp_path / "open").mkdir()
    (tmp_path / "closed").mkdir()
    really = os.scandir

    def scandir(path: Path) -> object:
        if Path(path).name == "closed":  # permissions do not stop a test run by root
            raise PermissionError(13, "Permission denied", str(path))
        return really(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(SourceUnavailable, match="closed"):
        FolderSource(tmp_path).list()


def test_the_fingerprint_changes_with_content_and_permissions(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one")
    os.utime(path, ns=(1, 1))
    source = FolderSource(tmp_path)
    prints = [listing_fingerprint(source.list())]
    path.write_text("two")
    os.utime(path, ns=(1, 1))
    prints.append(listing_fingerprint(source.list()))
    path.write_text("three")
    prints.append(listing_fingerprint(source.list()))
    (tmp_path / "b.txt").write_text("")
    prints.append(listing_fingerprint(source.list()))
    assert len(set(prints)) == 4
    assert listing_fingerprint(source.list()) == prints[-1]


def test_listing_fingerprints_do_not_confuse_boundaries() -> None:
    one = [SourceItem("a", 1, "b c"), SourceItem("d", 1, "e")]
    other = [SourceItem("a b", 1, "c"), SourceItem("d", 1, "e")]
    assert listing_fingerprint(one) != listing_fingerprint(other)


def test_file_names_that_are_not_utf8_are_storable_and_readable(tmp_path: Path) -> None:
    names = [b"caf\xe9.txt", b"\\xe9.txt", b"\\\xff.txt", b"\xc3\xa9.txt", "e\u0301.txt".encode()]
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(name)
    source = FolderSource(tmp_path)
    found = source.list()
    assert len({item.key.encode("utf-8") for item in found}) == len(names)
    assert sorted(source.read(item, LIMIT).data for item in found) == sorted(names)


def test_links_and_things_that_are_no_files(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out.txt"
    (inside / "sub").mkdir(parents=True)
    outside.write_text("secret")
    (inside / "sub" / "real.txt").write_text("real")
    (inside / "link.txt").symlink_to(inside / "sub" / "real.txt")
    (inside / "escape.txt").symlink_to(outside)
    (inside / "dangling.txt").symlink_to(inside / "nothing")
    (inside / "self.txt").symlink_to(inside / "self.txt")
    (inside / "sub" / "loop").symlink_to(inside)
    os.mkfifo(inside / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(inside / "socket.txt"))
        source = FolderSource(inside)
        assert read(source, "link.txt") == b"real"
        for key in ("escape.txt", "dangling.txt", "self.txt", "sub/loop", "pipe.txt", "socket.txt"):
            assert refused(source, key) == "unreadable", key
    assert not any(key.startswith("sub/loop/") for key in keys(source))


def test_a_linked_root_is_the_folder_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.txt").write_text("a")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    source = FolderSource(tmp_path / "link")
    assert read(source, "a.txt") == b"a"
    assert source.uri == FolderSource(tmp_path / "real").uri


def test_oversized_and_vanished_files(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 100)
    source = FolderSource(tmp_path)
    (item,) = source.list()
    assert len(source.read(item, 100).data) == 100
    assert refused(source, "a.txt", 99) == "oversized"
    path.write_bytes(b"x" * 200)
    with pytest.raises(ExtractionError, match="limit"):
        source.read(item, 150)
    path.unlink()
    with pytest.raises(ItemVanished):
        source.read(item, LIMIT)


def corpus(path: Path, *lines: object) -> JsonlSource:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text(text, encoding="utf-8")
    return JsonlSource(path)


def test_a_corpus_has_one_item_a_line(tmp_path: Path) -> None:
    source = corpus(
        tmp_path / "c.jsonl",
        {"_id": "b", "title": "On wings .", "text": "on wings . They lift."},
        "",
        {"_id": "a", "title": "On wings .", "text": "On  wings . They lift."},
        {"_id": 7, "text": "No title"},
        {"_id": "t", "title": "Only a title", "text": ""},
    )
    assert keys(source) == ["7", "a", "b", "t"]
    assert read(source, "a") == b"On  wings . They lift."
    assert read(source, "b") == b"On wings .\n\non wings . They lift."
    assert read(source, "7") == b"No title"
    assert read(source, "t").strip() == b"Only a title"
    raw = source.read(source.list()[1], LIMIT)
    assert (raw.title, raw.media_type) == ("On wings .", "text/plain")


def test_bad_lines_of_a_corpus_fail_alone(tmp_path: Path) -> None:
    source = corpus(
        tmp_path / "c.jsonl",
        "{not json",
        {"_id": "a", "text": "fine"},
        {"_id": "", "text": "x"},
        {"_id": "nul\x00", "text": "x"},
        {"_id": "b"},
        "[" * 100_000,
        {"_id": "a", "text": "again"},
        '{"_id": "\\ud800", "text": "x"}',
        "[1]",
    )
    assert read(source, "a") == b"fine"
    reasons = {key: refused(source, key) for key in keys(source) if key != "a"}
    assert reasons == {
        **{f"line {number}": "damaged" for number in (1, 3, 4, 5, 6, 8, 9)},
        "line 7": "duplicate",
    }


def test_a_corpus_line_that_is_too_long_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JsonlSource, "LONGEST_LINE", 1000)
    source = corpus(
        tmp_path / "c.jsonl",
        {"_id": "long", "text": "x" * 5000},
        {"_id": "a", "text": "fine"},
        {"_id": "b", "text": "y" * 800},
    )
    assert keys(source) == ["a", "b", "line 1"]
    assert refused(source, "line 1") == "oversized"
    assert refused(source, "b", 100) == "oversized"
    assert read(source, "a") == b"fine"


def test_a_changed_or_missing_corpus(tmp_path: Path) -> None:
    source = corpus(tmp_path / "c.jsonl", {"_id": "a", "text": "one"})
    (item,) = source.list()
    corpus(tmp_path / "c.jsonl", {"_id": "a", "text": "two"})
    with pytest.raises(ItemVanished):
        source.read(item, LIMIT)
    (tmp_path / "c.jsonl").unlink()
    with pytest.raises(ItemVanished):
        source.read(item, LIMIT)
    with pytest.raises(SourceUnavailable):
        source.list()


def test_the_cranfield_corpus_is_listed_whole(shared_data: Path) -> None:
    source = JsonlSource(shared_data / "retrieval" / "cranfield" / "corpus.jsonl")
    assert len(source.list()) == 1400
    text = read(source, "1").decode()
    assert text.count("experimental investigation of the aerodynamics of a wing") == 1


def test_sources_by_uri(tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    folder.mkdir()
    (folder / "c.jsonl").write_text("")
    for uri in (str(folder), folder.as_uri()):
        source = source_from_uri(uri)
        assert isinstance(source, FolderSource)
        assert source.uri == folder.as_uri()
        assert isinstance(source_from_uri(f"{uri}/c.jsonl"), JsonlSource)
    for uri in ("s3://my-bucket/a%20b/c?d#e", "s3://my-bucket"):
        bucket = source_from_uri(uri)
        assert (type(bucket), bucket.uri) == (S3Source, uri)
    for uri in ("s3://", "s3:///prefix", "s3://UPPER/x", "file://otherhost/folder", ""):
        with pytest.raises(UsageError):
            source_from_uri(uri)


def test_keys_of_objects_are_storable_and_lead_back_to_the_object() -> None:
    keys = ["nul\x00.txt", "\\x00", "\x00", "a\\x5cx00", "\\", "plain"]
    stored = [s3._stored(key) for key in keys]
    assert "\x00" not in "".join(stored)
    assert [s3._key(each) for each in stored] == keys
