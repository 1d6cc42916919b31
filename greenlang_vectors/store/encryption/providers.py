"""Key providers: who wraps data keys. Only wrapped data keys are ever stored.

A master key is a file on this machine (the default), or a symmetric key of AWS KMS that never
leaves it. `master_key` names which one wrapped a data key; it is no secret.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from greenlang_vectors import aws
from greenlang_vectors.errors import said
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.encryption.errors import KeyUnavailable

KEY_BYTES = 32
KMS_CACHE_SECONDS = 300
_NONCE_BYTES = 12
_FILE = "file:"
_KMS = "aws-kms:"


class KeyProvider(Protocol):
    """Wraps and unwraps data keys with one master key."""

    @property
    def master_key(self) -> str:
        """Which master key this is."""
        ...

    def wrap(self, data_key: bytes, context: Mapping[str, str]) -> bytes:
        """The data key as it may be stored; the context is bound to it.

        Raises:
            KeyUnavailable: the master key cannot be used.
        """
        ...

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The data key that was wrapped in this context.

        Raises:
            KeyUnavailable: the master key cannot be used, or is another one.
        """
        ...


class FileKeyProvider:
    """A 256-bit master key in a file that only its owner can read: 64 hexadecimal digits.

    The file belongs in the backups, apart from those of the database: without it nothing opens.

    Raises:
        KeyUnavailable: there is no such file, others may read it, or it holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        key = _read(path)
        self.master_key = _FILE + hashlib.sha256(b"greenlang master key" + key).hexdigest()[:16]
        self._key = AESGCM(key)

    def __repr__(self) -> str:
        return f"FileKeyProvider({str(self.path)!r}, {self.master_key!r})"

    @classmethod
    def create(cls, path: Path) -> FileKeyProvider:
        """The key of this file, made first unless it is there.

        Raises:
            KeyUnavailable: the file cannot be written; or see the class.
        """
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent) as file:  # mode 0600
                file.write(os.urandom(KEY_BYTES).hex().encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
                os.link(file.name, path)
        except FileExistsError:
            pass
        except OSError as error:
            raise KeyUnavailable(
                f"The key file {str(path)!r} cannot be written: {error.strerror}.",
                "Set GREENLANG_ENCRYPTION_KEY_FILE to a file that can.",
            ) from None
        return cls(path)

    def wrap(self, data_key: bytes, context: Mapping[str, str]) -> bytes:
        """The data key under AES-256-GCM."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._key.encrypt(nonce, data_key, _bound(context))

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The data key, if this file wrapped it.

        Raises:
            KeyUnavailable: another key did, or what was stored is damaged.
        """
        try:
            return self._key.decrypt(
                wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], _bound(context)
            )
        except (InvalidTag, ValueError):
            raise KeyUnavailable(
                f"The key in {str(self.path)!r} does not unwrap {_described(context)}.",
                "Set GREENLANG_ENCRYPTION_KEY_FILE to the key file it was wrapped with.",
            ) from None


class KmsClient(Protocol):
    """What is used of boto3's KMS client."""

    def encrypt(self, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - boto3 is untyped
        """KMS Encrypt."""
        ...

    def decrypt(self, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401
        """KMS Decrypt."""
        ...


class KmsKeyProvider:
    """A symmetric key of AWS KMS; the context is its encryption context, which CloudTrail shows.

    Unwrapped data keys are kept in memory for `KMS_CACHE_SECONDS`: a search must not wait for KMS.

    Args:
        key_id: key id, ARN or alias of the key.
        client: boto3's by default, with region, endpoint and credentials as boto3 finds them.
    """

    def __init__(self, key_id: str, client: KmsClient | None = None) -> None:
        self.key_id = key_id
        self.master_key = _KMS + key_id
        self._client = client or aws.client("kms", raising=KeyUnavailable)
        self._known: dict[tuple[bytes, bytes], tuple[float, bytes]] = {}

    def __repr__(self) -> str:
        return f"KmsKeyProvider({self.key_id!r})"

    def wrap(self, data_key: bytes, context: Mapping[str, str]) -> bytes:
        """The data key encrypted by KMS.

        Raises:
            KeyUnavailable: KMS refused or cannot be reached.
        """
        reply = self._call(self._client.encrypt, context, Plaintext=data_key)
        return bytes(reply["CiphertextBlob"])

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The data key decrypted by KMS.

        Raises:
            KeyUnavailable: KMS refused or cannot be reached.
        """
        known = wrapped, _bound(context)
        expires_at, data_key = self._known.get(known, (0.0, b""))
        if time.monotonic() >= expires_at:
            reply = self._call(self._client.decrypt, context, CiphertextBlob=wrapped)
            data_key = bytes(reply["Plaintext"])
            self._known[known] = time.monotonic() + KMS_CACHE_SECONDS, data_key
        return data_key

    def _call(
        self,
        operation: Callable[..., dict[str, Any]],
        context: Mapping[str, str],
        **arguments: bytes,
    ) -> dict[str, Any]:
        try:
            return operation(KeyId=self.key_id, EncryptionContext=dict(context), **arguments)
        except aws.failures() as error:
            raise KeyUnavailable(
                f"AWS KMS does not serve {_described(context)} with {self.key_id}: {said(error)}.",
                "Check GREENLANG_ENCRYPTION_KMS_KEY, AWS_REGION and the credentials' right to "
                "kms:Encrypt and kms:Decrypt.",
            ) from None


def wrapping_provider(settings: Settings, *, may_create: bool) -> KeyProvider:
    """Who wraps new data keys: the KMS key where one is set, else the key file.

    Args:
        may_create: whether a missing key file is made; not where data keys need an older one.

    Raises:
        KeyUnavailable: see the providers.
    """
    if settings.encryption_kms_key:
        return _kms(settings.encryption_kms_key)
    path = settings.encryption_key_path
    return FileKeyProvider.create(path) if may_create else FileKeyProvider(path)


def unwrapping_provider(
    master_key: str, settings: Settings, old_key_file: Path | None = None
) -> KeyProvider:
    """Who unwraps a data key that this master key wrapped.

    Args:
        old_key_file: looked at before the key file of the settings.

    Raises:
        KeyUnavailable: the key file is missing or holds another key; or see the providers.
    """
    if master_key.startswith(_KMS):
        return _kms(master_key.removeprefix(_KMS))
    for path in filter(None, (old_key_file, settings.encryption_key_path)):
        provider = FileKeyProvider(path)
        if provider.master_key == master_key:
            return provider
    raise KeyUnavailable(
        f"The key file {str(provider.path)!r} holds the master key {provider.master_key}, "
        f"but {master_key} is needed.",
        "Set GREENLANG_ENCRYPTION_KEY_FILE to the file with that key.",
    )


@lru_cache(maxsize=16)
def _kms(key_id: str) -> KmsKeyProvider:
    return KmsKeyProvider(key_id)


def _read(path: Path) -> bytes:
    where = f"The key file {str(path)!r}"
    try:
        status = path.stat()
        content = path.read_text("ascii") if stat.S_ISREG(status.st_mode) else ""
    except FileNotFoundError:
        raise KeyUnavailable(
            f"{where} is missing.",
            "Restore it, or set GREENLANG_ENCRYPTION_KEY_FILE to where it is.",
        ) from None
    except (OSError, UnicodeDecodeError):
        raise KeyUnavailable(f"{where} cannot be read.", "Give its owner the right to.") from None
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise KeyUnavailable(f"{where} can be read by others.", f"Run chmod 600 {str(path)!r}.")
    if not re.fullmatch(rf"[0-9a-f]{{{2 * KEY_BYTES}}}\n?", content):
        raise KeyUnavailable(
            f"{where} does not hold a key of {2 * KEY_BYTES} hexadecimal digits.",
            "Restore it from its backup.",
        )
    return bytes.fromhex(content)


def _bound(context: Mapping[str, str]) -> bytes:
    return "\0".join(f"{name}={context[name]}" for name in sorted(context)).encode()


def _described(context: Mapping[str, str]) -> str:
    return f"the data key {context['data_key']} of {context['namespace']}"
