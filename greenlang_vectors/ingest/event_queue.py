"""The SQS queue that S3 tells its changes to, and which sources they concern.

A message is deleted by whoever took it once what it asks for is kept elsewhere: until then it
comes again. A message that cannot be read is left to the queue, whose redrive policy moves it to a
dead-letter queue.

Source: ReceiveMessage and DeleteMessageBatch of the Amazon SQS API reference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from greenlang_vectors import aws
from greenlang_vectors.documents.source import S3Source
from greenlang_vectors.errors import GreenLangError, ItemError, said
from greenlang_vectors.ingest.s3_events import changed

BATCH = 10
"""The most messages of one request to SQS."""

HELD_SECONDS = 600
"""How long a message that was taken is shown to nobody else."""


class QueueUnavailable(GreenLangError):
    """The queue cannot be reached, or refused a request."""


@dataclass(slots=True)
class Taken:
    """What messages of the queue said.

    Attributes:
        objects: how many changes below the source of each namespace.
        receipts: of the messages that were understood: what deletes them.
        elsewhere: changes that are below no namespace's source.
        unreadable: why messages are no events of S3; they stay in the queue.
    """

    objects: Counter[str] = field(default_factory=Counter)
    receipts: list[str] = field(default_factory=list)
    elsewhere: int = 0
    unreadable: list[str] = field(default_factory=list)


class EventQueue:
    """One queue.

    Args:
        url: as SQS gives it.

    Raises:
        UsageError: boto3 is missing, or knows no region.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = aws.client("sqs")

    def take(self, sources: Mapping[str, S3Source], *, most: int, wait_seconds: int) -> Taken:
        """Messages until there are none or `most`, by the namespaces that they concern.

        Args:
            sources: of each namespace whose source is a bucket.
            wait_seconds: how long the first request waits for a message, at most 20.

        Raises:
            QueueUnavailable: it cannot be reached; what was taken comes again.
        """
        taken, waiting = Taken(), wait_seconds
        while len(taken.receipts) + len(taken.unreadable) < most:
            with self._named("be read", "sqs:ReceiveMessage"):
                answer = self._client.receive_message(
                    QueueUrl=self._url,
                    MaxNumberOfMessages=BATCH,
                    WaitTimeSeconds=waiting,
                    VisibilityTimeout=HELD_SECONDS,
                )
            messages = answer.get("Messages", [])
            if not messages:
                break
            for message in messages:
                _note(taken, message, sources)
            waiting = 0
        return taken

    def delete(self, receipts: Sequence[str]) -> None:
        """Have these messages come no more; one whose receipt has expired may come again.

        Raises:
            QueueUnavailable: it cannot be reached.
        """
        for start in range(0, len(receipts), BATCH):
            batch = receipts[start : start + BATCH]
            with self._named("be emptied", "sqs:DeleteMessage"):
                self._client.delete_message_batch(
                    QueueUrl=self._url,
                    Entries=[
                        {"Id": str(number), "ReceiptHandle": receipt}
                        for number, receipt in enumerate(batch)
                    ],
                )

    def dead_letter_queue(self) -> bool:
        """Whether messages that are taken too often go to another queue.

        Raises:
            QueueUnavailable: it cannot be reached.
        """
        with self._named("be described", "sqs:GetQueueAttributes"):
            found = self._client.get_queue_attributes(
                QueueUrl=self._url, AttributeNames=["RedrivePolicy"]
            )
        return bool(found.get("Attributes", {}).get("RedrivePolicy"))

    @contextmanager
    def _named(self, what: str, right: str) -> Iterator[None]:
        try:
            yield
        except aws.failures() as error:
            raise QueueUnavailable(
                f"The queue {self._url} cannot {what}: {said(error)}.",
                f"Check GREENLANG_S3_EVENTS_QUEUE_URL, and allow {right}.",
            ) from error


def _note(taken: Taken, message: dict[str, Any], sources: Mapping[str, S3Source]) -> None:
    try:
        objects = changed(message["Body"])
    except ItemError as error:
        taken.unreadable.append(f"{message['MessageId']}: {error}")
        return
    taken.receipts.append(message["ReceiptHandle"])
    for bucket, key in objects:
        concerned = [
            name
            for name, source in sources.items()
            if source.bucket == bucket and source.holds(key)
        ]
        taken.objects.update(concerned)
        taken.elsewhere += not concerned
