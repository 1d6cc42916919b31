"""Master keys: the key file is the owner's alone, KMS is asked through boto3, no key is told."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from greenlang_vectors.settings import Settings
from greenlang_vectors.store.encryption import providers
from greenlang_vectors.store.encryption.errors import KeyUnavailable
from greenlang_vectors.store.encryption.providers import (
    FileKeyProvider,
    KeyProvider,
    KmsKeyProvider,
    unwrapping_provider,
    wrapping_provider,
)

CONTEXT = {"namespace": "eudr", "data_key": "0123456789abcdef"}
ELSEWHERE = {"namespace": "csrd", "data_key": "0123456789abcdef"}
DATA_KEY = os.urandom(32)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "master.key"
    FileKeyProvider.create(path)
    return path


def test_a_key_file_is_made_once_for_its_owner_alone(key_file: Path) -> None:
    before = key_file.read_bytes()
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(key_file.parent.stat().st_mode) == 0o700
    FileKeyProvider.create(key_file)
    assert key_file.read_bytes() == before
    assert list(key_file.parent.iterdir()) == [key_file]


def test_all_who_make_a_key_file_at_once_get_the_same_key(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    with ThreadPoolExecutor(8) as pool:
        made = pool.map(lambda _: FileKeyProvider.create(path).master_key, range(16))
    assert len(set(made)) == 1


def test_a_data_key_unwraps_with_its_key_and_for_its_namespace_only(
    key_file: Path, tmp_path: Path
) -> None:
    provider = FileKeyProvider(key_file)
    wrapped = provider.wrap(DATA_KEY, CONTEXT)
    assert DATA_KEY not in wrapped
    assert FileKeyProvider(key_file).unwrap(wrapped, CONTEXT) == DATA_KEY
    other = FileKeyProvider.create(tmp_path / "other.key")
    for holder, stored, context in (
        (other, wrapped, CONTEXT),
        (provider, wrapped, ELSEWHERE),
        (provider, wrapped[:-1] + bytes([wrapped[-1] ^ 1]), CONTEXT),
        (provider, b"", CONTEXT),
    ):
        with pytest.raises(KeyUnavailable, match="GREENLANG_ENCRYPTION_KEY_FILE"):
            holder.unwrap(stored, context)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620])
def test_a_key_file_that_others_may_use_is_refused(key_file: Path, mode: int) -> None:
    key_file.chmod(mode)
    with pytest.raises(KeyUnavailable, match=r"can be read by others.*chmod 600"):
        FileKeyProvider(key_file)


@pytest.mark.parametrize("content", ["", "short", "0" * 63, "0" * 65, "g" * 64, "ü" * 64])
def test_a_file_that_holds_no_key_is_refused_and_not_quoted(key_file: Path, content: str) -> None:
    key_file.write_text(content)
    with pytest.raises(KeyUnavailable) as refused:
        FileKeyProvider(key_file)
    assert not content or content not in str(refused.value)


def test_a_missing_key_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyUnavailable, match=r"is missing.*GREENLANG_ENCRYPTION_KEY_FILE"):
        FileKeyProvider(tmp_path / "none.key")
    with pytest.raises(KeyUnavailable):
        FileKeyProvider(tmp_path)
    with pytest.raises(KeyUnavailable, match="cannot be written"):
        FileKeyProvider.create(Path("/proc/none/master.key"))


def test_neither_repr_nor_error_tells_a_key(key_file: Path) -> None:
    provider = FileKeyProvider(key_file)
    key = key_file.read_text().strip()
    with pytest.raises(KeyUnavailable) as refused:
        provider.unwrap(b"x" * 60, CONTEXT)
    shown = f"{provider!r} {vars(provider)} {refused.value}"
    assert key not in shown
    assert repr(bytes.fromhex(key)) not in shown


def test_the_settings_say_which_key_wraps_and_the_stored_name_which_unwraps(
    tmp_path: Path,
) -> None:
    settings = Settings(data_dir=tmp_path)
    with pytest.raises(KeyUnavailable, match="missing"):
        wrapping_provider(settings, may_create=False)
    made = wrapping_provider(settings, may_create=True)
    assert (tmp_path / "keys" / "master.key").is_file()
    assert unwrapping_provider(made.master_key, settings).master_key == made.master_key
    newer = Settings(data_dir=tmp_path, encryption_key_file=tmp_path / "newer.key")
    wrapping_provider(newer, may_create=True)
    with pytest.raises(KeyUnavailable, match=f"but {made.master_key} is needed"):
        unwrapping_provider(made.master_key, newer)
    old_file = settings.encryption_key_path
    assert unwrapping_provider(made.master_key, newer, old_file).master_key == made.master_key


def test_kms_without_boto3_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(KeyUnavailable, match=r"greenlang-vectors\[aws\]"):
        KmsKeyProvider("alias/none")


@pytest.fixture
def kms_key(aws_server: None) -> Iterator[str]:  # noqa: ARG001 - it sets the environment
    """A key of a KMS stand-in, asked over HTTP."""
    import boto3

    providers._kms.cache_clear()
    yield boto3.client("kms").create_key()["KeyMetadata"]["KeyId"]
    providers._kms.cache_clear()


def test_kms_wraps_unwraps_and_refuses_other_contexts(kms_key: str) -> None:
    provider: KeyProvider = KmsKeyProvider(kms_key)
    wrapped = provider.wrap(DATA_KEY, CONTEXT)
    assert DATA_KEY not in wrapped
    assert KmsKeyProvider(kms_key).unwrap(wrapped, CONTEXT) == DATA_KEY
    with pytest.raises(KeyUnavailable, match="of csrd"):
        provider.unwrap(wrapped, ELSEWHERE)
    with pytest.raises(KeyUnavailable, match="GREENLANG_ENCRYPTION_KMS_KEY"):
        KmsKeyProvider("alias/other").wrap(DATA_KEY, CONTEXT)


def test_kms_is_asked_once_for_a_data_key(kms_key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapped = KmsKeyProvider(kms_key).wrap(DATA_KEY, CONTEXT)
    provider = KmsKeyProvider(kms_key)
    assert provider.unwrap(wrapped, CONTEXT) == DATA_KEY
    monkeypatch.setattr(provider, "_client", None)
    assert provider.unwrap(wrapped, CONTEXT) == DATA_KEY
    with pytest.raises(AttributeError):
        provider.unwrap(wrapped, ELSEWHERE)


def test_the_settings_can_name_a_kms_key(kms_key: str, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, encryption_kms_key=kms_key)
    made = wrapping_provider(settings, may_create=False)
    wrapped = made.wrap(DATA_KEY, CONTEXT)
    without = Settings(data_dir=tmp_path)
    assert unwrapping_provider(made.master_key, without).unwrap(wrapped, CONTEXT) == DATA_KEY
