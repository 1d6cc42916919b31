"""What is asked of libpq's TLS, and which settings contradict each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from greenlang_vectors.errors import UsageError
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import reader_urls
from greenlang_vectors.store.tls import secured

URL = "postgresql://app:hunter2@db.example/vectors"


@pytest.fixture
def root(tmp_path: Path) -> str:
    made = tmp_path / "root.pem"
    made.touch()
    return str(made)


def tls_of(url: str, **settings: Any) -> dict[str, object]:  # noqa: ANN401 - any setting
    made = conninfo_to_dict(secured(url, Settings(**settings)))
    return {key: value for key, value in made.items() if "ssl" in key or key == "channel_binding"}


def test_without_a_setting_a_url_stays_as_it_is() -> None:
    assert secured(URL, Settings()) == URL


def test_with_root_certificates_the_server_is_verified(root: str) -> None:
    assert tls_of(URL, database_sslrootcert=root) == {
        "sslmode": "verify-full",
        "sslrootcert": root,
        "ssl_min_protocol_version": "TLSv1.3",
    }


def test_tls_that_the_url_asks_for_is_1_3_at_least() -> None:
    assert tls_of(f"{URL}?sslmode=require") == {
        "sslmode": "require",
        "ssl_min_protocol_version": "TLSv1.3",
    }


def test_what_a_url_says_itself_goes_first(root: str) -> None:
    url = f"{URL}?sslmode=verify-full&sslrootcert=system&ssl_min_protocol_version=TLSv1.2"
    made = tls_of(url, database_sslmode="require", database_sslrootcert=root)
    assert made["sslrootcert"] == "system"
    assert made["ssl_min_protocol_version"] == "TLSv1.2"


def test_tokens_are_sent_over_tls() -> None:
    assert tls_of(URL, database_iam_region="eu-central-1")["sslmode"] == "require"


def test_a_password_can_be_bound_to_the_connection() -> None:
    made = tls_of(URL, database_sslmode="require", database_channel_binding="require")
    assert made["channel_binding"] == "require"


def test_readers_are_reached_like_the_writer(root: str) -> None:
    settings = Settings(database_reader_urls=SecretStr(f"{URL},{URL}2"), database_sslrootcert=root)
    for url in reader_urls(settings):
        assert conninfo_to_dict(url)["sslmode"] == "verify-full"


@pytest.mark.parametrize(
    ("url", "settings", "said"),
    [
        (f"{URL}?sslmode=prefer", {"database_sslmode": "require"}, "asks for less TLS"),
        (f"{URL}?sslmode=require", {"database_sslrootcert": "x.pem"}, "sslmode=verify-full"),
        (f"{URL}?sslmode=disable", {"database_iam_region": "r"}, "over TLS only"),
        (URL, {"database_iam_region": "r", "database_sslmode": "prefer"}, "over TLS only"),
        (
            URL,
            {"database_iam_region": "r", "database_channel_binding": "require"},
            "cannot be bound",
        ),
        (URL, {"database_sslrootcert": "/nowhere/root.pem"}, "no file '/nowhere/root.pem'"),
        (f"{URL}?sslmode=verify-ca&sslrootcert=/nowhere", {}, "no file '/nowhere'"),
    ],
)
def test_what_contradicts_itself_is_refused(url: str, settings: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        secured(url, Settings(**settings))
    assert "hunter2" not in str(caught.value)
    assert caught.value.remedy


def test_to_verify_without_root_certificates_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.delenv("PGSSLROOTCERT", raising=False)
    with pytest.raises(UsageError, match="no file"):
        secured(URL, Settings(database_sslmode="verify-full"))
    assert tls_of(URL, database_sslmode="verify-full", database_sslrootcert="system")


def test_what_is_no_url_is_left_to_whoever_connects() -> None:
    assert secured("hunter2", Settings(database_sslmode="require")) == "hunter2"
