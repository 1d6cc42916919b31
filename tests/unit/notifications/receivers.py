"""Servers on the loopback that take what channels send: one for HTTP, one for SMTP."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

USER, PASSWORD = "greenlang", "correct-horse-battery"


@dataclass
class Answer:
    """What the HTTP server says to one request."""

    status: int
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Post:
    """One request it got."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpReceiver:
    """What it is to answer, first to last and then 200, and what it got."""

    url: str = ""
    script: list[Answer] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)


@contextmanager
def http_receiver(path: str = "/hook/T0SECRET") -> Iterator[HttpReceiver]:
    receiver = HttpReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.posts.append(
                Post(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            )
            answer = receiver.script.pop(0) if receiver.script else Answer(200)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}{path}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Mailbox:
    """An SMTP server, what it got, and how often somebody tried to log in."""

    port: int = 0
    messages: list[Message] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    logins: int = 0
    refusals: list[str] = field(default_factory=list)

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.refusals:
            return self.refusals.pop(0)
        assert isinstance(envelope.content, bytes)
        self.messages.append(message_from_bytes(envelope.content))
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 OK"

    def authenticate(self, *given: object) -> AuthResult:
        self.logins += 1
        data = given[-1]
        assert isinstance(data, LoginPassword)
        right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=False)


@contextmanager
def smtp_receiver(certificate: Path, security: str) -> Iterator[Mailbox]:
    """A server with this certificate: of "starttls", "tls" or "none"."""
    mailbox = Mailbox()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    guarded: dict[str, Any] = {
        "authenticator": mailbox.authenticate,
        "auth_require_tls": security == "starttls",
        "auth_exclude_mechanism": ["LOGIN"],  # smtplib tries every one that is offered
    }
    controller = Controller(
        mailbox,
        "127.0.0.1",
        0,
        ssl_context=tls if security == "tls" else None,
        **({"tls_context": tls, "require_starttls": True} if security == "starttls" else {}),
        **({} if security == "none" else guarded),
    )

    def knock() -> None:
        assert controller.server is not None
        mailbox.port = controller.server.sockets[0].getsockname()[1]
        socket.create_connection(("127.0.0.1", mailbox.port)).close()

    controller._trigger_server = knock  # type: ignore[method-assign]
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()


def write_certificate(file: Path) -> Path:
    """A key and a certificate of 127.0.0.1 that signs itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file
