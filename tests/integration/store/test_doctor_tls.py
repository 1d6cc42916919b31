"""What the doctor finds of TLS, on a real server whose certificate and clients vary."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from greenlang_vectors.doctor import transport
from greenlang_vectors.doctor.findings import Finding, Subject
from greenlang_vectors.settings import ProfileName, Settings
from greenlang_vectors.store.connections import Access

from ...tls_server import HOST, TlsServer

pytestmark = pytest.mark.integration


def look(server: TlsServer, profile: ProfileName = "production", **given: str) -> list[Finding]:
    url = make_conninfo(server.url("kept"), **given)
    with Access(url).connect() as connection:
        subject = Subject(Settings(), profile, Access(url), connection, False, False)
        return [*transport.spoken(subject), *transport.certificates(subject)]


def named(found: list[Finding], check: str) -> Finding:
    [one] = [each for each in found if each.check == check]
    return one


def verified(server: TlsServer) -> dict[str, str]:
    return {"sslmode": "verify-full", "sslrootcert": str(server.root)}


def test_a_verified_connection_is_well(secure: TlsServer) -> None:
    secure.present(*secure.authority.certify(HOST, "127.0.0.1", days=90))
    found = look(secure, **verified(secure))
    assert {each.check: each.level for each in found} == dict.fromkeys(
        ("connection", "sslmode", "version", "server certificate", "root certificates"), "ok"
    )


def test_a_certificate_that_ends_soon_is_warned_of(secure: TlsServer) -> None:
    secure.present(*secure.authority.certify(HOST, "127.0.0.1", days=5))
    ends = named(look(secure, **verified(secure)), "server certificate")
    assert ends.level == "warning"
    assert "Renew it" in ends.remedy
    secure.present(*secure.authority.certify(HOST, "127.0.0.1", days=-1))
    ended = named(look(secure, sslmode="require"), "server certificate")
    assert (ended.level, ended.found[:7]) == ("error", "expired")


def test_a_server_that_is_not_verified_is_found(secure: TlsServer) -> None:
    found = named(look(secure, sslmode="require"), "sslmode")
    assert (found.level, found.found) == ("error", "require")
    assert named(look(secure, "dev", sslmode="require"), "sslmode").level == "warning"


def test_clear_text_is_found(secure: TlsServer) -> None:
    url = make_conninfo(f"host={secure.folder} port={secure.port} user=admin dbname=postgres")
    with Access(url).connect() as connection:
        subject = Subject(Settings(), "production", Access(url), connection, False, False)
        [socket] = transport.spoken(subject)
        assert socket.level == "ok"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(transport, "local", lambda _: False)
            plain = named(list(transport.spoken(subject)), "connection")
    assert (plain.level, plain.found) == ("error", "clear text")


def test_old_tls_is_warned_of(secure: TlsServer) -> None:
    old = {"ssl_min_protocol_version": "TLSv1.2", "ssl_max_protocol_version": "TLSv1.2"}
    found = named(look(secure, sslmode="require", **old), "version")
    assert (found.level, found.found) == ("warning", "TLSv1.2")


def test_root_certificates_that_cannot_be_read_are_found(tmp_path: Path) -> None:
    broken = tmp_path / "root.pem"
    assert transport._root(broken).level == "error"
    broken.write_text("no certificate")
    assert transport._root(broken).level == "error"
