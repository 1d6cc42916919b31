"""Tokens for Aurora, as boto3 signs them: no network is needed for that."""

from __future__ import annotations

import sys
from urllib.parse import parse_qs, urlsplit

import pytest

from greenlang_vectors.errors import DatabaseUnavailable
from greenlang_vectors.store.tokens import iam_tokens


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials that boto3 remembers from other tests."""
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)


def test_a_token_lets_one_user_into_one_server_for_fifteen_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    token = iam_tokens("eu-central-1")("cluster.example", "5433", "vector_app")
    parts = urlsplit(f"https://{token}")
    query = parse_qs(parts.query)
    assert parts.netloc == "cluster.example:5433"
    assert query["Action"] == ["connect"]
    assert query["DBUser"] == ["vector_app"]
    assert query["X-Amz-Expires"] == ["900"]
    assert query["X-Amz-Credential"][0].endswith("/eu-central-1/rds-db/aws4_request")


def test_without_credentials_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(DatabaseUnavailable, match="rds-db:connect"):
        iam_tokens("eu-central-1")("cluster.example", "5432", "vector_app")


def test_without_boto3_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(DatabaseUnavailable, match=r"greenlang-vectors\[aws\]"):
        iam_tokens("eu-central-1")
