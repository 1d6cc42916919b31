"""E-mail by SMTP, with TLS unless the server is trusted without it."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from pydantic import SecretStr

from greenlang_vectors.errors import said
from greenlang_vectors.notifications.channel import NotDelivered
from greenlang_vectors.notifications.message import Notification
from greenlang_vectors.settings import SmtpSecurity

ANSWER_SECONDS = 5
"""For each answer of the server."""

PORTS: dict[SmtpSecurity, int] = {"starttls": 587, "tls": 465, "none": 25}
"""RFC 8314 and RFC 5321."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One SMTP server, and whom it is to write to.

    Attributes:
        security: "starttls" goes over to TLS before anything is said, "tls" begins with it.
        recipients: addresses, with commas between.
    """

    host: str
    port: int
    security: SmtpSecurity
    sender: str | None
    recipients: str
    user: SecretStr | None = field(default=None, repr=False)
    password: SecretStr | None = field(default=None, repr=False)
    name: str = "e-mail"

    def send(self, notification: Notification) -> str:
        """See `Channel.send`."""
        message = self._message(notification)
        try:
            with self._connected() as server:
                self._log_in(server)
                refused = server.send_message(message)
        except smtplib.SMTPAuthenticationError as error:
            failure = self._failure(f"does not accept user and password ({error.smtp_code})")
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            failure = self._failure(
                f"refuses every recipient ({codes[0]})", passing=min(codes) < 500
            )
        except smtplib.SMTPResponseException as error:
            words = said(_decoded(error.smtp_error))
            failure = self._failure(
                f"answers {error.smtp_code} {words}", passing=error.smtp_code < 500
            )
        except smtplib.SMTPNotSupportedError:
            failure = self._failure("does not offer STARTTLS, a login, or else what is needed")
        except ssl.SSLError as error:
            failure = self._failure(f"cannot be spoken to by TLS: {error.reason or error}")
        except (OSError, smtplib.SMTPException) as error:
            reason = str(error) or type(error).__name__
            failure = self._failure(f"cannot be reached: {reason.rstrip('.')}", passing=True)
        else:
            left_out = f", but not for {', '.join(sorted(refused))}" if refused else ""
            return f"taken{left_out}"
        raise failure  # here, not above: what the server said would be printed as its context

    def _connected(self) -> smtplib.SMTP:
        tls = ssl.create_default_context()
        if self.security == "tls":
            return smtplib.SMTP_SSL(self.host, self.port, timeout=ANSWER_SECONDS, context=tls)
        server = smtplib.SMTP(self.host, self.port, timeout=ANSWER_SECONDS)
        if self.security == "starttls":
            try:
                server.starttls(context=tls)
            except BaseException:
                server.close()
                raise
        return server

    def _log_in(self, server: smtplib.SMTP) -> None:
        if self.user is None or self.password is None:
            return
        if self.security == "none":
            raise NotDelivered(
                "A password is not sent without TLS.",
                "Set GREENLANG_NOTIFY_SMTP_SECURITY to starttls or tls.",
            )
        server.login(self.user.get_secret_value(), self.password.get_secret_value())

    def _message(self, notification: Notification) -> EmailMessage:
        if not self.sender or not self.recipients.strip():
            raise NotDelivered(
                "It is not said from whom or to whom e-mail goes.",
                "Set GREENLANG_NOTIFY_EMAIL_FROM and GREENLANG_NOTIFY_EMAIL_TO.",
            )
        message = EmailMessage()
        try:
            message["From"] = self.sender
            message["To"] = self.recipients
            message["Subject"] = f"GreenLang Vectors: {notification.title}"
        except (ValueError, IndexError):
            failure = NotDelivered(
                "An address of an e-mail is none.",
                "Check GREENLANG_NOTIFY_EMAIL_FROM and GREENLANG_NOTIFY_EMAIL_TO.",
            )
            raise failure from None
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain="greenlang-vectors")
        message["Auto-Submitted"] = "auto-generated"
        lines = [f"{name}: {value}" for name, value in notification.details()]
        message.set_content("\n\n".join([notification.title, *lines]) + "\n")
        return message

    def _failure(self, reason: str, *, passing: bool = False) -> NotDelivered:
        return NotDelivered(
            f"{self.host} {reason}.", "Check GREENLANG_NOTIFY_SMTP_….", passing=passing
        )


def _decoded(words: bytes | str) -> str:
    return words.decode("utf-8", "replace") if isinstance(words, bytes) else words
