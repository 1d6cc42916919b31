"""Slack, by an incoming webhook (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from pydantic import SecretStr

from greenlang_vectors.notifications.message import Notification
from greenlang_vectors.notifications.post import post

_SIGNS = {"run.failed": ":red_circle:", "run.recovered": ":large_green_circle:", "test": ":wave:"}


@dataclass(frozen=True, slots=True)
class Slack:
    """The channel that the webhook writes to."""

    url: SecretStr = field(repr=False)
    name: str = "slack"

    def send(self, notification: Notification) -> str:
        """See `Channel.send`."""
        body = json.dumps({"text": _text(notification)}).encode()
        return post(self.url, "GREENLANG_NOTIFY_SLACK_URL", body, {})


def _text(notification: Notification) -> str:
    lines = [f"{_SIGNS[notification.event]} *{_escaped(notification.title)}*"]
    for name, value in notification.details():
        if name == "Command":
            lines.append(f"`{_escaped(value)}`")
        elif value == notification.link:
            lines.append(f"<{_escaped(value)}|Look at the run>")
        else:
            lines.append(f"{name}: {_escaped(value)}")
    return "\n".join(lines)


def _escaped(text: str) -> str:
    """https://docs.slack.dev/messaging/formatting-message-text#escaping"""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
