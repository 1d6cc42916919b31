"""Slack and the webhook: what is posted, signed, tried again, and what stays secret."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import socket
import threading
import time
from base64 import b64decode, b64encode

import pytest
from pydantic import SecretStr

from greenlang_vectors.notifications import delivery
from greenlang_vectors.notifications.channel import Channel
from greenlang_vectors.notifications.delivery import ATTEMPTS, Delivery, channels_of, deliver
from greenlang_vectors.notifications.message import LONGEST, Notification
from greenlang_vectors.notifications.slack import Slack
from greenlang_vectors.notifications.webhook import Webhook
from greenlang_vectors.settings import Settings

from .receivers import Answer, HttpReceiver

PART = "T0SECRET"


def brought(channel: Channel, notification: Notification) -> Delivery:
    [made] = deliver([channel], notification)
    return made


def test_without_settings_there_is_no_channel_and_each_setting_makes_one() -> None:
    assert channels_of(Settings()) == []
    assert deliver([], Notification("test", None, "x", "x")) == []
    settings = Settings(
        notify_slack_url=SecretStr("https://slack.example/x"),
        notify_smtp_host="mail.example",
        notify_webhook_url=SecretStr("https://hook.example/x"),
    )
    assert [channel.name for channel in channels_of(settings)] == ["slack", "e-mail", "webhook"]


def test_slack_is_told_where_why_what_helps_and_where_to_look(
    hook: HttpReceiver, failure: Notification
) -> None:
    assert brought(Slack(SecretStr(hook.url)), failure) == Delivery("slack", True, "200 ok")
    [post] = hook.posts
    assert json.loads(post.body)["text"].splitlines() == [
        ":red_circle: *csrd: documents failed*",
        "Why: The folder /documents/&lt;csrd&gt; &amp; all cannot be listed.",
        "What helps: Make it readable and run again.",
        "`greenlang-vectors dead-letters list --namespace csrd`",
        "Runbook: docs/runbooks/source-unavailable.md",
        "<https://dagster.example/runs/1|Look at the run>",
    ]


@pytest.mark.parametrize("secret", ["some words", "whsec_" + b64encode(b"key" * 8).decode()])
def test_the_webhook_gets_json_that_a_receiver_can_check(
    hook: HttpReceiver, failure: Notification, secret: str
) -> None:
    assert brought(Webhook(SecretStr(hook.url), SecretStr(secret)), failure).delivered
    [post] = hook.posts
    content = json.loads(post.body)
    assert (content["type"], content["timestamp"]) == ("run.failed", "2026-11-28T00:00:00+00:00")
    assert content["data"]["namespace"] == "csrd"
    assert content["data"]["stage"] == "documents"
    assert content["data"]["command"] == failure.command
    key = b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
    identity, moment = post.headers["webhook-id"], post.headers["webhook-timestamp"]
    signed = f"{identity}.{moment}.".encode() + post.body
    expected = b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert post.headers["webhook-signature"] == f"v1,{expected}"
    assert abs(int(moment) - time.time()) < 60


def test_without_a_secret_nothing_is_signed_and_a_bad_one_sends_nothing(
    hook: HttpReceiver, failure: Notification
) -> None:
    assert brought(Webhook(SecretStr(hook.url)), failure).delivered
    assert "webhook-signature" not in hook.posts[0].headers
    refused = brought(Webhook(SecretStr(hook.url), SecretStr("whsec_no base64!")), failure)
    assert not refused.delivered
    assert "no base64!" not in refused.said
    assert len(hook.posts) == 1


def test_what_passes_is_tried_again_as_the_same_message(
    hook: HttpReceiver, failure: Notification
) -> None:
    hook.script = [Answer(503, b"busy"), Answer(429, b"", {"Retry-After-Ms": "5"})]
    assert brought(Webhook(SecretStr(hook.url)), failure).delivered
    assert len(hook.posts) == 3
    assert len({post.headers["webhook-id"] for post in hook.posts}) == 1


def test_what_stays_is_given_up_after_some_tries(hook: HttpReceiver, failure: Notification) -> None:
    hook.script = [Answer(500, b"broken")] * 9
    assert "answers 500 broken" in brought(Slack(SecretStr(hook.url)), failure).said
    assert len(hook.posts) == ATTEMPTS


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404, b"no_service"),
        Answer(302, b"", {"Location": "https://elsewhere.example/"}),
        Answer(429, b"", {"Retry-After": "3600"}),
    ],
    ids=["gone", "elsewhere", "much later"],
)
def test_what_no_other_try_mends_is_tried_once(
    hook: HttpReceiver, failure: Notification, answer: Answer
) -> None:
    hook.script = [answer]
    refused = brought(Slack(SecretStr(hook.url)), failure)
    assert not refused.delivered
    assert str(answer.status) in refused.said
    assert "GREENLANG_NOTIFY_SLACK_URL" in refused.said
    assert len(hook.posts) == 1


def test_the_address_is_told_to_nobody(
    hook: HttpReceiver, failure: Notification, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}/hook/{PART}"
    hook.script = [Answer(404, f"no such path /hook/{PART}".encode())]
    channels = [
        Slack(SecretStr(url))
        for url in (hook.url, closed, f"{hook.url} with blanks", f"ftp://{PART}", PART)
    ]
    deliveries = deliver(channels, failure)
    assert not any(each.delivered for each in deliveries)
    assert PART not in repr(channels) + repr(deliveries) + caplog.text
    assert "no such path ***" in deliveries[0].said
    assert "refused" in deliveries[1].said
    assert "GREENLANG_NOTIFY_SLACK_URL is no address" in deliveries[3].said


def test_a_broken_channel_keeps_no_other_from_it(hook: HttpReceiver, failure: Notification) -> None:
    class Defective:
        name = "defective"

        def send(self, _: Notification) -> str:
            raise ZeroDivisionError

    channels: list[Channel] = [Defective(), Slack(SecretStr("nowhere")), Slack(SecretStr(hook.url))]
    assert [each.delivered for each in deliver(channels, failure)] == [False, False, True]


def test_nobody_waits_for_a_channel_that_never_ends(
    hook: HttpReceiver, failure: Notification, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    class Endless:
        name = "endless"

        def send(self, _: Notification) -> str:
            over.wait(60)
            return ""

    monkeypatch.setattr(delivery, "PATIENCE", 0.5)
    endless, other = deliver([Endless(), Slack(SecretStr(hook.url))], failure)
    over.set()
    assert endless == Delivery("endless", False, "It did not answer within 0.5 s.")
    assert other.delivered


def test_a_very_long_cause_is_cut(hook: HttpReceiver) -> None:
    long = Notification("run.failed", None, "housekeeping", "prune_runs", cause="why\n" * 9999)
    assert brought(Webhook(SecretStr(hook.url)), long).delivered
    data = json.loads(hook.posts[0].body)["data"]
    assert (data["title"], len(data["cause"])) == ("housekeeping: prune_runs failed", LONGEST)
    assert "\n" not in data["cause"]
