"""What S3 says has changed, in whichever envelope it comes.

Source: "Event message structure" and "EventBridge event message structure" of the Amazon S3 user
guide; "Parsing message formats" of the Amazon SNS developer guide.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from greenlang_vectors.errors import ItemError

TEST_EVENT = "s3:TestEvent"
"""Sent once when notifications are set up; it names no object."""


class Changed(NamedTuple):
    """An object that was written, removed or restored."""

    bucket: str
    key: str


def changed(message: str) -> list[Changed]:
    """The objects that a message names; none for S3's test of a new notification.

    It may be S3's own event, EventBridge's, or either wrapped by SNS.

    Raises:
        ItemError: "damaged", it is nothing of the kind.
    """
    try:
        return list(_objects(json.loads(message)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ItemError(
            "damaged",
            f"It is no event of S3: {type(error).__name__} {error}.",
            "Let nothing but S3, EventBridge or SNS write to this queue.",
        ) from error


def _objects(event: dict[str, Any]) -> Iterator[Changed]:
    if event.get("Type") == "Notification" and "Message" in event:
        yield from _objects(json.loads(event["Message"]))
    elif "Records" in event:
        for record in event["Records"]:
            s3 = record["s3"]  # where alone keys are encoded as in a form
            yield _named(s3["bucket"]["name"], unquote_plus(s3["object"]["key"]))
    elif event.get("source") == "aws.s3":
        detail = event["detail"]
        yield _named(detail["bucket"]["name"], detail["object"]["key"])
    elif event.get("Event") != TEST_EVENT:
        raise ValueError("none of the forms that are known")


def _named(bucket: object, key: object) -> Changed:
    if not isinstance(bucket, str) or not isinstance(key, str):
        raise TypeError("bucket and key must be texts")
    return Changed(bucket, key)
