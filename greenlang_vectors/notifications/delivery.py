"""A message to every channel that is set, each tried for a bounded time beside the others."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from greenlang_vectors.notifications.channel import Channel, NotDelivered
from greenlang_vectors.notifications.mail import PORTS, Mail
from greenlang_vectors.notifications.message import Notification, bounded
from greenlang_vectors.notifications.slack import Slack
from greenlang_vectors.notifications.webhook import Webhook
from greenlang_vectors.retries import retry_context
from greenlang_vectors.settings import Settings

logger = logging.getLogger(__name__)

ATTEMPTS = 3
SECONDS = 10.0
"""After this nothing is tried again: a tick of a sensor has a minute."""

FIRST_WAIT, LONGEST_WAIT = 0.5, 3.0

PATIENCE = 20.0
"""Seconds after which nobody waits for a channel that answers byte by byte."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a message on one channel.

    Attributes:
        said: what the other side answered, or why it did not take it, and what helps.
    """

    channel: str
    delivered: bool
    said: str


def channels_of(settings: Settings) -> list[Channel]:
    """The channels that are set; none by default."""
    found: list[Channel] = []
    if settings.notify_slack_url is not None:
        found.append(Slack(settings.notify_slack_url))
    if settings.notify_smtp_host is not None:
        security = settings.notify_smtp_security
        found.append(
            Mail(
                settings.notify_smtp_host,
                settings.notify_smtp_port or PORTS[security],
                security,
                settings.notify_email_from,
                settings.notify_email_to,
                settings.notify_smtp_user,
                settings.notify_smtp_password,
            )
        )
    if settings.notify_webhook_url is not None:
        found.append(Webhook(settings.notify_webhook_url, settings.notify_webhook_secret))
    return found


def deliver(channels: Sequence[Channel], notification: Notification) -> list[Delivery]:
    """Bring a message to each channel; one that fails keeps no other from it. Never raises."""
    if not channels:
        return []
    message = bounded(notification)
    threads = ThreadPoolExecutor(len(channels), thread_name_prefix="notification")
    brought = [threads.submit(_bring, channel, message) for channel in channels]
    wait(brought, PATIENCE)
    threads.shutdown(wait=False)
    return [_outcome(*each) for each in zip(channels, brought, strict=True)]


def _outcome(channel: Channel, brought: Future[Delivery]) -> Delivery:
    if brought.done():
        return brought.result()
    return _failed(channel, f"It did not answer within {PATIENCE:g} s.")


def _bring(channel: Channel, notification: Notification) -> Delivery:
    try:
        for attempt in retry_context(
            on=_passes,
            attempts=ATTEMPTS,
            timeout=SECONDS,
            wait_initial=FIRST_WAIT,
            wait_max=LONGEST_WAIT,
        ):
            with attempt:
                said = channel.send(notification)
    except NotDelivered as error:
        return _failed(channel, str(error))
    except Exception as error:  # noqa: BLE001 - a defect of a channel keeps no other from it
        return _failed(channel, f"An unexpected {type(error).__name__}.")
    return Delivery(channel.name, True, said)


def _failed(channel: Channel, said: str) -> Delivery:
    logger.warning("A notification was not brought to %s: %s", channel.name, said)
    return Delivery(channel.name, False, said)


def _passes(error: Exception) -> bool | float:
    """Whether to try again, and when, if the other side says so and it is soon enough."""
    if not isinstance(error, NotDelivered) or not error.passing:
        return False
    if error.wait is None:
        return True
    return error.wait if error.wait <= SECONDS else False
