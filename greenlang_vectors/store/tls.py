"""TLS to the database (PRD 10.2): what settings ask for, and what to do when it is refused.

libpq does the work: https://www.postgresql.org/docs/current/libpq-ssl.html. Here its parameters
are added to a URL, and what contradicts itself is refused before anything is sent.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from greenlang_vectors.errors import UsageError
from greenlang_vectors.settings import Settings, SslMode

MODES: tuple[str, ...] = get_args(SslMode)
"""From the weakest on."""

VERIFIED = ("verify-ca", "verify-full")

_BUNDLE = "the bundle of AWS's certificates that Aurora's is signed by"


def secured(url: str, settings: Settings, setting: str = "GREENLANG_DATABASE_URL") -> str:
    """The URL with the TLS that the settings ask for, as libpq understands it.

    What the URL says itself goes first, as long as it asks for no less. One that PostgreSQL does
    not understand is left as it is, for whoever connects to say so.

    Args:
        setting: where the URL came from, for messages.

    Raises:
        UsageError: URL and settings contradict each other, or nothing is there to verify with.
    """
    try:
        given = {key: str(value) for key, value in conninfo_to_dict(url).items()}
    except psycopg.ProgrammingError:
        return url
    added = parameters(given, settings, setting)
    return make_conninfo(url, **added) if added else url


def parameters(given: Mapping[str, str], settings: Settings, setting: str) -> dict[str, str]:
    """libpq's parameters that are to be added to those given, as of `secured`.

    Raises:
        UsageError: see `secured`.
    """
    mode = _mode(given, settings, setting)
    wanted = {"sslmode": mode, "channel_binding": settings.database_channel_binding}
    if required(mode):
        wanted["ssl_min_protocol_version"] = settings.database_ssl_min_protocol_version
        wanted["sslrootcert"] = settings.database_sslrootcert
    added = {key: value for key, value in wanted.items() if value and key not in given}
    made = {**given, **added}
    if mode in VERIFIED:
        _check_root(made.get("sslrootcert"), setting)
    if settings.database_iam_region and made.get("channel_binding") == "require":
        raise UsageError(
            "An IAM token cannot be bound to the TLS connection: Aurora reads it as it is.",
            "Unset GREENLANG_DATABASE_CHANNEL_BINDING, or GREENLANG_DATABASE_IAM_REGION.",
        )
    return added


def required(mode: str | None) -> bool:
    """Whether a connection of this sslmode is none without TLS."""
    return mode in MODES and _at_least(mode, "require")


def remedy(error: str) -> str | None:
    """What to do about a connection that libpq could not make; None if it is not for TLS.

    Args:
        error: libpq's words.
    """
    return next((what for sign, what in _REMEDIES.items() if sign in error), None)


_REMEDIES = {
    "does not match host name": (
        "Name the server as its certificate does; an address or an alias will not do with"
        " verify-full."
    ),
    "certificate verify failed": (
        "The server's certificate has expired, or none in GREENLANG_DATABASE_SSLROOTCERT has signed"
        f" it. Compare the two; for Aurora it is {_BUNDLE}, downloaded anew."
    ),
    "does not support SSL": (
        "Let the server speak TLS (rds.force_ssl, or ssl = on); GREENLANG_DATABASE_SSLMODE asks"
        " for it."
    ),
    "SSL protocol version": (
        "Let the server speak TLS 1.3; until it does, GREENLANG_DATABASE_SSL_MIN_PROTOCOL_VERSION"
        " may be TLSv1.2."
    ),
    "channel binding": (
        "Unset GREENLANG_DATABASE_CHANNEL_BINDING where a pooler or another kind of password stands"
        " between."
    ),
    "no encryption": "The server takes TLS alone: set GREENLANG_DATABASE_SSLMODE to verify-full.",
    "SSL support is not compiled in": (
        "Install PostgreSQL's client programs, which speak TLS, and set GREENLANG_PG_BIN_DIR to"
        " their folder."
    ),
    "root certificate file": "Let GREENLANG_DATABASE_SSLROOTCERT name a file of certificates.",
}
"""By words of libpq's and OpenSSL's errors, the first that occur."""


def _mode(given: Mapping[str, str], settings: Settings, setting: str) -> str | None:
    """The sslmode of a connection; None where nothing is asked for."""
    in_url, wanted = given.get("sslmode"), settings.database_sslmode
    if wanted is None and settings.database_sslrootcert:
        wanted = "verify-full"
    if in_url in MODES and wanted is not None and not _at_least(in_url, wanted):
        raise UsageError(
            f"{setting} asks for less TLS (sslmode={in_url}) than the settings do"
            f" (sslmode={wanted}).",
            "Take sslmode out of the URL, or set GREENLANG_DATABASE_SSLMODE alike.",
        )
    mode = in_url or wanted
    if settings.database_iam_region is None:
        return mode
    if mode is not None and not required(mode):
        raise UsageError(
            f"IAM tokens are sent over TLS only, and sslmode is {mode}.",
            f"Set GREENLANG_DATABASE_SSLMODE to verify-full, and take sslmode out of {setting}.",
        )
    return mode or "require"


def _at_least(mode: str, least: str) -> bool:
    return MODES.index(mode) >= MODES.index(least)


def _check_root(named: str | None, setting: str) -> None:
    if named == "system":
        return
    root = named or os.environ.get("PGSSLROOTCERT") or "~/.postgresql/root.crt"
    if not Path(root).expanduser().is_file():
        raise UsageError(
            f"The server of {setting} cannot be verified: there is no file {root!r}.",
            f"Let GREENLANG_DATABASE_SSLROOTCERT name {_BUNDLE}, or be `system`.",
        )
