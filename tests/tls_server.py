"""A PostgreSQL with TLS, whose certificate, protocol and tokens a test changes while it runs.

Debian's PostgreSQL stands in for Aurora: it has TLS, which the embedded one lacks, and no pgvector,
of which only the type's name is needed to connect.
"""

from __future__ import annotations

import os
import pwd
import socket
import ssl
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from uuid import uuid4

import psycopg
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from psycopg import sql

from .replication import folder, until

INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
PROGRAMS = INSTALLED[-1].parent if INSTALLED else Path()
HOST = "vectors.test"
ACCESS = """\
local all all trust
hostssl all all 127.0.0.1/32 scram-sha-256
"""
SSL_REQUEST = struct.pack("!ii", 8, 80877103)


class Authority:
    """Signs servers' certificates."""

    def __init__(self, name: str) -> None:
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        root = self._built(self._name, self._key.public_key(), 365)
        root = root.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.pem = self._signed(root).public_bytes(serialization.Encoding.PEM)

    def certify(self, *hosts: str, days: int = 1) -> tuple[bytes, bytes]:
        """A key and its certificate for these hosts, both as PEM; of the past if days are few."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, hosts[0])])
        names = x509.SubjectAlternativeName([_general(host) for host in hosts])
        made = self._built(name, key.public_key(), days).add_extension(names, critical=False)
        return (
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
            self._signed(made).public_bytes(serialization.Encoding.PEM),
        )

    def _built(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, days: int
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return x509.CertificateBuilder(
            subject_name=subject,
            issuer_name=self._name,
            public_key=key,
            serial_number=x509.random_serial_number(),
            not_valid_before=now - timedelta(days=30),
            not_valid_after=now + timedelta(days=days),
        )

    def _signed(self, made: x509.CertificateBuilder) -> x509.Certificate:
        return made.sign(self._key, hashes.SHA256())


class TlsServer:
    """A server entered by TLS alone, by `app` with a token and by `kept` with a password."""

    password = "a password that stays"  # noqa: S105

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tokens: list[str] = []
        self.authority = Authority("the authority")
        self._owner = pwd.getpwnam("postgres").pw_uid if os.geteuid() == 0 else None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.root = folder / "root.pem"
        self.root.write_bytes(self.authority.pem)

    def url(self, user: str, name: str = "postgres") -> str:
        secret = f":{self.password.replace(' ', '%20')}" if user == "kept" else ""
        return f"postgresql://{user}{secret}@{HOST}:{self.port}/{name}?hostaddr=127.0.0.1"

    def start(self) -> None:
        data = self.folder / "data"
        if self._owner is not None:
            os.chown(self.folder, self._owner, -1)
        self._write_certificate(*self.authority.certify(HOST, "127.0.0.1"))
        self._run(PROGRAMS / "initdb", "-D", data, "-U", "admin", "--auth=trust", "--no-sync")
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(
                f"ssl = on\nssl_key_file = '{self.key}'\nssl_cert_file = '{self.certificate}'\n"
                f"listen_addresses = '127.0.0.1'\nport = {self.port}\nfsync = off\n"
                f"unix_socket_directories = '{self.folder}'\n"
            )
        (data / "pg_hba.conf").write_text(ACCESS)
        self._run(PROGRAMS / "pg_ctl", "-sw", "-D", data, "-l", self.folder / "log", "start")
        for statement in ("CREATE ROLE app LOGIN", "CREATE DOMAIN vector AS text"):
            self.ask(sql.SQL(statement))
        made = sql.SQL("CREATE ROLE kept LOGIN CREATEDB PASSWORD {}")
        self.ask(made.format(sql.Literal(self.password)))

    def stop(self) -> None:
        data = self.folder / "data"
        self._run(PROGRAMS / "pg_ctl", "-sw", "-D", data, "-m", "immediate", "stop")

    def one_time_token(self, host: str, port: str, user: str) -> str:
        """A token that makes each before it worthless."""
        self.expire()
        return self.token(host, port, user)

    def token(self, host: str, port: str, user: str) -> str:
        """The token that lets `app` in until `expire`."""
        assert (host, port, user) == (HOST, str(self.port), "app")
        if not self.tokens:
            self.expire()
        return self.tokens[-1]

    def expire(self) -> None:
        """No token given so far lets anybody in."""
        self.tokens.append(f"{HOST}:{self.port}/?DBUser=app&X-Amz-Signature={uuid4().hex}")
        self.ask(sql.SQL("ALTER ROLE app PASSWORD {}").format(sql.Literal(self.tokens[-1])))

    def disconnect(self, user: str) -> None:
        """End every connection of this user."""
        ended = sql.SQL(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = {}"
        )
        self.ask(ended.format(sql.Literal(user)))

    def present(self, key: bytes, certificate: bytes) -> None:
        """Have this certificate in use for new connections."""
        self._write_certificate(key, certificate)
        self.ask(sql.SQL("SELECT pg_reload_conf()"))
        wanted = ssl.PEM_cert_to_DER_cert(certificate.decode())
        until(lambda: self._presented() == wanted)

    @contextmanager
    def having(self, **settings: str) -> Iterator[None]:
        """These settings of the server's, for new connections."""
        for name, value in settings.items():
            self._set(name, sql.Literal(value))
        try:
            yield
        finally:
            for name in settings:
                self._set(name, sql.SQL("DEFAULT"))

    @property
    def key(self) -> Path:
        return self.folder / "key.pem"

    @property
    def certificate(self) -> Path:
        return self.folder / "certificate.pem"

    def ask(self, statement: sql.SQL | sql.Composed, name: str = "postgres") -> object:
        where = f"host={self.folder} port={self.port} user=admin dbname={name}"
        with psycopg.connect(where, autocommit=True) as connection:
            answer = connection.execute(statement)
            row = answer.fetchone() if answer.description else None
            return row and row[0]

    def _set(self, name: str, value: sql.Composable) -> None:
        before = self.ask(sql.SQL("SHOW {}").format(sql.Identifier(name)))
        self.ask(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), value))
        self.ask(sql.SQL("SELECT pg_reload_conf()"))
        until(lambda: self.ask(sql.SQL("SHOW {}").format(sql.Identifier(name))) != before)

    def _write_certificate(self, key: bytes, certificate: bytes) -> None:
        for path, content in ((self.key, key), (self.certificate, certificate)):
            path.touch(mode=0o600)
            path.write_bytes(content)
            if self._owner is not None:
                os.chown(path, self._owner, -1)

    def _presented(self) -> bytes | None:
        unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", self.port)) as plain:
            plain.sendall(SSL_REQUEST)
            assert plain.recv(1) == b"S"
            with unverified.wrap_socket(plain) as secure:
                return secure.getpeercert(binary_form=True)

    def _run(self, *command: str | Path) -> None:
        subprocess.run(command, user=self._owner, check=True, stdout=subprocess.DEVNULL, timeout=60)


@contextmanager
def tls_server() -> Iterator[TlsServer]:
    """A running one."""
    with folder() as place:
        made = TlsServer(place)
        made.start()
        try:
            yield made
        finally:
            made.stop()


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
