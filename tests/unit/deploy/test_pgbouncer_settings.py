"""PgBouncer is set up as PRD 8.3 says, with TLS on both sides; overlays name its servers."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

import pytest

from .manifests import OVERLAYS, ROOT, containers, pod, written

PRD_8_3 = {
    "pool_mode": "transaction",
    "max_client_conn": "1000",
    "default_pool_size": "50",
    "reserve_pool_size": "10",
    "reserve_pool_timeout": "5",
    "server_idle_timeout": "300",
    "query_timeout": "30",
}
TLS = {
    "client_tls_sslmode": "require",
    "client_tls_protocols": "tlsv1.3",
    "server_tls_sslmode": "verify-full",
    "server_tls_protocols": "tlsv1.3",
    "auth_type": "scram-sha-256",
}


def read(path: Path) -> ConfigParser:
    parser = ConfigParser(interpolation=None, comment_prefixes=(";", "%"))
    parser.read_string(path.read_text())
    return parser


def test_the_pool_is_the_prds() -> None:
    pooler = dict(read(ROOT / "base" / "pgbouncer.ini")["pgbouncer"])
    assert (PRD_8_3 | TLS).items() <= pooler.items()


def test_its_files_are_mounted() -> None:
    pooler = read(ROOT / "base" / "pgbouncer.ini")["pgbouncer"]
    [template] = [
        pod(each)
        for each in written("base")
        if each["metadata"]["name"] == "pgbouncer" and each["kind"] == "Deployment"
    ]
    [container] = containers(template)
    folders = {each["mountPath"] for each in container["volumeMounts"]}
    files = [value for key, value in pooler.items() if key.endswith("_file")]
    assert len(files) == 4
    assert {str(Path(file).parent) for file in files} <= folders
    assert container["args"] == ["pgbouncer", "/etc/pgbouncer/pgbouncer.ini"]
    assert [each["containerPort"] for each in container["ports"]] == [int(pooler["listen_port"])]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_overlay_names_the_writer_and_its_readers(overlay: str) -> None:
    databases = read(ROOT / "overlays" / overlay / "databases.ini")["databases"]
    assert "greenlang_vectors" in databases
    assert all(name.startswith("greenlang_vectors") for name in databases)
    hosts = [value.split()[0] for value in databases.values()]
    assert len(set(hosts)) == len(hosts) == (1 if overlay == "dev" else 3)
    assert all(value.endswith("port=5432 dbname=greenlang") for value in databases.values())
