"""TLS to the database (PRD 10.2): whether it is spoken, how far it is verified, certificates."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from psycopg.conninfo import conninfo_to_dict

from greenlang_vectors.doctor.findings import Finding, Subject, judged

SOURCE = "PRD 10.2, docs/tls.md"
EXPIRES_SOON = timedelta(days=30)
HANDSHAKE_SECONDS = 2.0

_SSL_REQUEST = struct.pack("!ii", 8, 80_877_103)
"""What a client says first (PostgreSQL: Frontend/Backend Protocol, "SSLRequest")."""


def spoken(subject: Subject) -> Iterator[Finding]:
    """Whether this connection is encrypted, and by which version."""
    if local(subject):
        yield Finding("tls", "connection", "ok", "a Unix socket of this machine")
        return
    in_use = subject.connection.pgconn.ssl_in_use
    yield judged(
        "tls",
        "connection",
        subject.severe,
        "encrypted" if in_use else "clear text",
        well=in_use,
        expected="TLS",
        source=SOURCE,
        remedy="Set GREENLANG_DATABASE_SSLROOTCERT to the file of the server's certificates.",
    )
    mode = str(conninfo_to_dict(subject.access.url).get("sslmode") or "prefer")
    yield judged(
        "tls",
        "sslmode",
        subject.severe,
        mode,
        well=mode == "verify-full",
        expected="verify-full",
        source=SOURCE,
        remedy="Set GREENLANG_DATABASE_SSLMODE=verify-full: with less, whoever stands between may"
        " answer in the server's place.",
    )
    if in_use and not subject.pooled:
        row = subject.connection.execute(
            "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        ).fetchone()
        version = (row[0] if row else None) or "unknown"
        yield judged(
            "tls",
            "version",
            "warning",
            version,
            well=version == "TLSv1.3",
            expected="TLSv1.3",
            source=SOURCE,
            remedy="Set ssl_min_protocol_version = TLSv1.3 on the server, or upgrade it.",
        )


def certificates(subject: Subject) -> Iterator[Finding]:
    """Until when the server's certificate and those it is verified with hold."""
    given = conninfo_to_dict(subject.access.url)
    root = given.get("sslrootcert")
    if root and root != "system":
        yield _root(Path(str(root)))
    if local(subject) or not subject.connection.pgconn.ssl_in_use:
        return
    info = subject.connection.info
    try:
        shown = _server_certificate(info.hostaddr or info.host, info.port, info.host)
        until = shown.not_valid_after_utc
    except (OSError, ValueError) as error:
        yield Finding(
            "tls",
            "server certificate",
            "warning",
            f"cannot be read: {error}",
            remedy="Look at it with openssl s_client -starttls postgres -connect HOST:PORT.",
        )
        return
    yield _expiry(
        "server certificate",
        until,
        "Renew it before; Aurora's is renewed with certificate authorities of its own choice:"
        " `aws rds modify-db-instance --ca-certificate-identifier`.",
    )


def local(subject: Subject) -> bool:
    """Whether the server is reached by a socket of this machine."""
    return subject.connection.info.host.startswith(("/", "@"))


def _root(path: Path) -> Finding:
    try:
        found = x509.load_pem_x509_certificates(path.expanduser().read_bytes())
    except (OSError, ValueError) as error:
        return Finding(
            "tls",
            "root certificates",
            "error",
            f"{path} cannot be read: {error}",
            source=SOURCE,
            remedy="Let GREENLANG_DATABASE_SSLROOTCERT name a file of certificates in PEM.",
        )
    newest = max(each.not_valid_after_utc for each in found)
    return _expiry(
        "root certificates",
        newest,
        "Fetch the bundle anew (docs/tls.md); libpq reads it at each connection.",
    )


def _expiry(check: str, until: datetime, remedy: str) -> Finding:
    left = until - datetime.now(UTC)
    return judged(
        "tls",
        check,
        "error" if left < timedelta(0) else "warning",
        f"{'expired' if left < timedelta(0) else 'valid'} until {until:%Y-%m-%d}",
        well=left >= EXPIRES_SOON,
        expected=f"for {EXPIRES_SOON.days} days at least",
        source=SOURCE,
        remedy=remedy,
    )


def _server_certificate(address: str, port: int, name: str) -> x509.Certificate:
    """What the server shows; it is read here, not believed: libpq has verified it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((address, port), HANDSHAKE_SECONDS) as plain:
        plain.sendall(_SSL_REQUEST)
        if plain.recv(1) != b"S":
            raise OSError("the server speaks no TLS")
        with context.wrap_socket(plain, server_hostname=name) as wrapped:
            shown = wrapped.getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(shown or b"")
