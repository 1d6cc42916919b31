"""The backup location: whole objects under keys, never written twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenlang_vectors.errors import UsageError
from greenlang_vectors.lifecycle.location import LocationUnavailable, open_location


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
