"""E-mail through a real SMTP server: TLS, logging in, refusals, and what stays secret."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from greenlang_vectors.notifications.delivery import ATTEMPTS, Delivery, deliver
from greenlang_vectors.notifications.mail import Mail
from greenlang_vectors.notifications.message import Notification
from greenlang_vectors.settings import SmtpSecurity

from .receivers import PASSWORD, USER, smtp_receiver

Sender = Callable[..., Mail]
WRONG = PASSWORD.upper()


@pytest.fixture
def mail(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Sender:
    """A channel to the server on this port, whose certificate is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    def to(port: int, security: SmtpSecurity = "starttls", password: str | None = PASSWORD) -> Mail:
        return Mail(
            "127.0.0.1",
            port,
            security,
            "vectors@greenlang.example",
            "ops@greenlang.example, night@greenlang.example",
            None if password is None else SecretStr(USER),
            None if password is None else SecretStr(password),
        )

    return to


def brought(channel: Mail, notification: Notification) -> Delivery:
    [delivery] = deliver([channel], notification)
    return delivery


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_says_what_failed_over_tls(
    mail: Sender, certificate: Path, failure: Notification, security: SmtpSecurity
) -> None:
    with smtp_receiver(certificate, security) as mailbox:
        delivery = brought(mail(mailbox.port, security), failure)
    assert delivery == Delivery("e-mail", True, "taken")
    [message] = mailbox.messages
    assert mailbox.logins == 1
    assert mailbox.recipients == [["ops@greenlang.example", "night@greenlang.example"]]
    assert message["Subject"] == "GreenLang Vectors: csrd: documents failed"
    assert message["Auto-Submitted"] == "auto-generated"
    text = str(message.get_payload())
    assert f"Command: {failure.command}" in text
    assert f"Run: {failure.link}" in text


def test_a_wrong_password_is_tried_once_and_told_to_nobody(
    mail: Sender, certificate: Path, failure: Notification, caplog: pytest.LogCaptureFixture
) -> None:
    with smtp_receiver(certificate, "starttls") as mailbox:
        channel = mail(mailbox.port, "starttls", WRONG)
        delivery = brought(channel, failure)
    assert not delivery.delivered
    assert "does not accept user and password (535)" in delivery.said
    assert mailbox.logins == 1
    assert WRONG not in repr(channel) + delivery.said + caplog.text


def test_a_password_is_never_sent_without_tls(
    mail: Sender, certificate: Path, failure: Notification
) -> None:
    with smtp_receiver(certificate, "none") as mailbox:
        refused = brought(mail(mailbox.port, "none"), failure)
        no_starttls = brought(mail(mailbox.port, "starttls"), failure)
        open_relay = brought(mail(mailbox.port, "none", password=None), failure)
    assert "A password is not sent without TLS." in refused.said
    assert "does not offer STARTTLS" in no_starttls.said
    assert open_relay.delivered
    assert (len(mailbox.messages), mailbox.logins) == (1, 0)


def test_a_server_that_cannot_prove_who_it_is_gets_nothing(
    mail: Sender, certificate: Path, failure: Notification, monkeypatch: pytest.MonkeyPatch
) -> None:
    with smtp_receiver(certificate, "starttls") as mailbox:
        channel = mail(mailbox.port)
        monkeypatch.delenv("SSL_CERT_FILE")
        delivery = brought(channel, failure)
    assert "cannot be spoken to by TLS" in delivery.said
    assert (mailbox.logins, mailbox.messages) == (0, [])


def test_what_passes_is_tried_again_and_what_does_not_is_not(
    mail: Sender, certificate: Path, failure: Notification
) -> None:
    with smtp_receiver(certificate, "starttls") as mailbox:
        mailbox.refusals = ["451 Try again later"]
        assert brought(mail(mailbox.port), failure).delivered
        assert mailbox.logins == 2
        mailbox.refusals = ["554 No spam"]
        assert "answers 554 No spam" in brought(mail(mailbox.port), failure).said
        assert mailbox.logins == 3
        mailbox.refusals = ["451 Later"] * ATTEMPTS
        assert not brought(mail(mailbox.port), failure).delivered
        assert mailbox.logins == 3 + ATTEMPTS


def test_addresses_that_are_missing_or_none_are_named(mail: Sender, failure: Notification) -> None:
    for broken in (
        replace(mail(1), sender=None),
        replace(mail(1), recipients=" "),
        replace(mail(1), recipients="ops@greenlang.example\nBcc: thief@example"),
    ):
        delivery = brought(broken, failure)
        assert not delivery.delivered
        assert "GREENLANG_NOTIFY_EMAIL_TO" in delivery.said
