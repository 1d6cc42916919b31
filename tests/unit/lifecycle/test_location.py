"""The backup location: whole objects under keys, never written twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from greenlang_vectors.errors import UsageError
from greenlang_vectors.lifecycle.location import LocationUnavailable, Written, open_location


def test_objects_are_put_listed_read_and_deleted(tmp_path: Path) -> None:
    location = open_location(str(tmp_path / "made" / "here"))
    location.put("a/one/x", b"1")
    location.put("a/two/y", b"2")
    assert location.get("a/one/x") == b"1"
    assert location.get("a/one/y") is None
    assert location.keys("a") == ["a/one/x", "a/two/y"]
    assert location.keys("a/one") == ["a/one/x"]
    assert location.folders("a") == ["a/one", "a/two"]
    location.delete(["a/one/x"])
    assert location.folders("a") == ["a/two"]
    assert location.keys("nothing") == []


def test_an_object_is_never_overwritten(tmp_path: Path) -> None:
    location = open_location(str(tmp_path))
    location.put("x", b"first")
    with pytest.raises(LocationUnavailable, match="'x'"):
        location.put("x", b"second")
    assert location.get("x") == b"first"


def test_a_folder_that_cannot_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LocationUnavailable, match="GREENLANG_BACKUP_LOCATION") as caught:
        open_location(str(tmp_path / "file" / "below"))
    assert "\n" not in str(caught.value)


def test_another_kind_of_url_is_refused() -> None:
    with pytest.raises(UsageError, match="s3://BUCKET"):
        open_location("ftp://host/path")


def test_blocks_are_written_counted_hashed_and_read_back(tmp_path: Path) -> None:
    location = open_location(str(tmp_path))
    blocks = [b"a" * 700_000, b"", b"b" * 900_000]
    written = location.put_stream("x/y", iter(blocks))
    assert written == Written(1_600_000, hashlib.sha256(b"".join(blocks)).hexdigest())
    stream = location.stream("x/y")
    assert stream is not None
    assert b"".join(stream) == b"".join(blocks)
    assert location.stream("x/z") is None
    [found] = location.listed("x")
    assert (found.key, found.size_bytes) == ("x/y", 1_600_000)
    assert abs((datetime.now(UTC) - found.modified_at).total_seconds()) < 60
    with pytest.raises(LocationUnavailable, match="x/y"):
        location.put_stream("x/y", iter([b"again"]))


def test_what_breaks_the_blocks_is_what_is_raised(tmp_path: Path) -> None:
    def blocks() -> Iterator[bytes]:
        yield b"a"
        raise ConnectionResetError("the other side went away")

    with pytest.raises(ConnectionResetError, match="went away"):
        open_location(str(tmp_path)).put_stream("x", blocks())


def test_what_is_read_back_otherwise_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = open_location(str(tmp_path))
    monkeypatch.setattr(location, "stream", lambda _: iter([b"other"]))
    with pytest.raises(LocationUnavailable, match="is not what was written"):
        location.put_stream("x", iter([b"data"]))
