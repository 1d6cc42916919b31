"""What is found of this machine and of settings, without a database."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from greenlang_vectors.doctor import api, environment
from greenlang_vectors.doctor.examination import worst
from greenlang_vectors.doctor.findings import Finding
from greenlang_vectors.embedding import backends
from greenlang_vectors.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


def level_of(found: Iterable[Finding], check: str) -> str:
    [one] = [each for each in found if each.check == check]
    assert one.level == "ok" or one.remedy, one
    return one.level


def changed(settings: Settings, **given: Any) -> Settings:  # noqa: ANN401 - any setting
    return settings.model_copy(update=given)


def test_folders_must_be_writable(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert level_of(environment.folders(settings), "data directory") == "ok"
    assert level_of(environment.folders(settings), "backup location") == "ok"
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert level_of(environment.folders(settings), "data directory") == "error"
    assert level_of(environment.folders(settings), "backup location") == "error"


@pytest.mark.parametrize(("free", "level"), [(50, "ok"), (10, "warning"), (1, "error")])
def test_a_disk_must_have_room(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, free: int, level: str
) -> None:
    usage = type(shutil.disk_usage(settings.data_dir.parent))(100, 100 - free, free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert level_of(environment.folders(settings), "disk of the data directory") == level


def test_a_key_is_its_owners_alone(settings: Settings) -> None:
    key = settings.encryption_key_path
    key.parent.mkdir(parents=True)
    key.touch(mode=0o600)
    assert level_of(environment.folders(settings), "master key file") == "ok"
    key.chmod(0o644)
    assert level_of(environment.folders(settings), "master key file") == "error"


def test_a_model_must_be_here_or_have_a_key(settings: Settings) -> None:
    def level(**given: object) -> str:
        found = [one.level for one in environment.model(changed(settings, **given))]
        return max(found, key=["ok", "error"].index)

    assert level() == "ok"
    assert level(embedding_model="no-such-model") == "error"
    assert level(embedding_backend="openvino", embedding_precision="int8") == "ok"
    assert level(embedding_backend="onnx", embedding_precision="int8") == "error"
    remote = {"embedding_model": "text-embedding-3-small"}
    assert level(**remote, openai_api_key=None) == "error"
    assert level(**remote, openai_api_key=SecretStr("sk-1")) == "ok"


def test_a_backend_must_be_installed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(backends.PACKAGES, "openvino", "no_such_package")
    _, found = environment.model(changed(settings, embedding_backend="openvino"))
    assert found.level == "error"
    assert "greenlang-vectors[openvino]" in found.remedy


def test_redis_must_answer(settings: Settings) -> None:
    assert not list(environment.redis(settings))
    secret = SecretStr("redis://:hunter2@127.0.0.1:1/0")
    [one] = environment.redis(changed(settings, redis_url=secret))
    assert one.level == "error"
    assert "hunter2" not in str(one)
    odd = SecretStr("redis://:hunter2@127.0.0.1:1/0?no_such_option=1")
    assert [each.level for each in environment.redis(changed(settings, redis_url=odd))] == ["error"]
    [other] = environment.redis(changed(settings, embedding_cache="redis"))
    assert (other.level, other.found) == ("error", "not set")


def test_a_bucket_must_answer(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not list(environment.bucket(settings))
    monkeypatch.setattr(environment, "ANSWER_SECONDS", 0.2)
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    [one] = environment.bucket(changed(settings, backup_location="s3://bucket/prefix"))
    assert one.level == "error"
    [other] = environment.bucket(changed(settings, backup_location="ftp://bucket"))
    assert other.level == "error"
    assert "cannot be the backup location" in other.found


def test_tokens_are_for_this_api_and_their_keys_come_safely(settings: Settings) -> None:
    safe = changed(
        settings,
        api_jwks_url="https://login.example/keys",
        api_jwt_audience="vectors",
        api_jwt_issuer="https://login.example",
    )
    assert worst(api.tokens(settings, "production")) == 0
    assert worst(api.tokens(safe, "production")) == 0
    for name, check in {
        "api_jwt_audience": "GREENLANG_API_JWT_AUDIENCE",
        "api_jwt_issuer": "GREENLANG_API_JWT_ISSUER",
    }.items():
        found = list(api.tokens(changed(safe, **{name: None}), "production"))
        assert level_of(found, check) == "error"
    plain = list(api.tokens(changed(safe, api_jwks_url="http://login.example/keys"), "dev"))
    assert level_of(plain, "token keys") == "warning"


def test_bounds_of_the_api_can_be_read_and_bind(settings: Settings) -> None:
    assert worst(api.bounds(settings, "dev")) == 0
    unreadable = api.bounds(changed(settings, api_rate_limit="a lot"), "dev")
    assert level_of(unreadable, "rate limit") == "error"
    anybody = list(api.bounds(changed(settings, api_cors_origins="*"), "production"))
    assert level_of(anybody, "sites of browsers") == "error"
    assert level_of(anybody, "requests are counted") == "warning"
    counted = changed(settings, redis_url=SecretStr("redis://redis"))
    assert worst(api.bounds(counted, "production")) == 0
