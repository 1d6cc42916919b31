"""`greenlang-vectors notify test`: whether people would hear of a failed run."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click
from rich.markup import escape
from rich.table import Table

from greenlang_vectors.commands.common import as_json_option, output, print_json
from greenlang_vectors.errors import UsageError
from greenlang_vectors.notifications.delivery import channels_of, deliver
from greenlang_vectors.notifications.message import Notification
from greenlang_vectors.settings import get_settings


@click.group("notify")
def notify_group() -> None:
    """Messages to people when a run fails."""


@notify_group.command("test")
@as_json_option
def send_test(as_json: bool) -> None:
    """Send a test message through each channel that is set, and show what each answered.

    Ends with code 1 where one did not take it.
    """
    channels = channels_of(get_settings())
    if not channels:
        raise UsageError(
            "No channel is set: failed runs are only logged.",
            "Set GREENLANG_NOTIFY_SLACK_URL, GREENLANG_NOTIFY_SMTP_HOST or"
            " GREENLANG_NOTIFY_WEBHOOK_URL (docs/notifications.md).",
        )
    message = Notification(
        "test",
        None,
        "notify",
        "test",
        cause="Somebody ran `greenlang-vectors notify test`.",
        remedy="Nothing is to be done.",
        command="greenlang-vectors status",
    )
    deliveries = deliver(channels, message)
    if as_json:
        print_json({"deliveries": [asdict(each) for each in deliveries]})
    else:
        table = Table("channel", "result", "answer")
        for each in deliveries:
            result = "delivered" if each.delivered else "not delivered"
            table.add_row(each.channel, result, escape(each.said))
        output.print(table)
    if not all(each.delivered for each in deliveries):
        sys.exit(1)
