"""Every client of AWS is made alike, and what keeps one from being made is said."""

from __future__ import annotations

import sys

import pytest

from greenlang_vectors import aws
from greenlang_vectors.errors import DatabaseUnavailable, UsageError

pytest.importorskip("boto3", reason="needs the extra aws")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's AWS configuration."""
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE", "AWS_MAX_ATTEMPTS"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)  # it remembers them


def test_a_client_waits_so_long_repeats_so_often_and_says_whose_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = aws.client("sqs", "eu-west-1")
    assert made.meta.region_name == "eu-west-1"
    config = made.meta.config
    assert (config.connect_timeout, config.read_timeout) == (10, 60)
    assert config.retries == {"mode": "standard", "total_max_attempts": 5}
    assert config.user_agent_extra == "greenlang-vectors"
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    assert aws.client("sqs", "eu-west-1").meta.config.retries["total_max_attempts"] == 2


def test_what_keeps_it_from_being_made_is_the_error_of_whoever_needs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(UsageError, match=r"No client of AWS SQS.*Set AWS_REGION\."):
        aws.client("sqs")
    with pytest.raises(DatabaseUnavailable, match=r"Set GREENLANG_AURORA_REGION\."):
        aws.client("sqs", raising=DatabaseUnavailable, region_setting="GREENLANG_AURORA_REGION")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    with pytest.raises(UsageError, match=r"nobody.*Check AWS_PROFILE"):
        aws.client("sqs", "eu-west-1")
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(UsageError, match=r"SQS is asked for, but boto3.*greenlang-vectors\[aws\]"):
        aws.client("sqs")
