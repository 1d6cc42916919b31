"""Any receiver of JSON, signed as https://www.standardwebhooks.com has it.

A message has one id through all its tries, so that a receiver can leave out what it has.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass, field

from pydantic import SecretStr

from greenlang_vectors.notifications.channel import NotDelivered
from greenlang_vectors.notifications.message import Notification
from greenlang_vectors.notifications.post import post
from greenlang_vectors.store.identity import derived_id

_SECRET = "GREENLANG_NOTIFY_WEBHOOK_SECRET"  # noqa: S105 - a setting's name
_PREFIX = "whsec_"


@dataclass(frozen=True, slots=True)
class Webhook:
    """The receiver, and the secret it checks signatures with.

    Attributes:
        secret: "whsec_" and base64, or any other text; None signs nothing.
    """

    url: SecretStr = field(repr=False)
    secret: SecretStr | None = field(default=None, repr=False)
    name: str = "webhook"

    def send(self, notification: Notification) -> str:
        """See `Channel.send`."""
        moment = notification.at.isoformat()
        content = {
            "type": notification.event,
            "timestamp": moment,
            "data": notification.as_json(),
        }
        body = json.dumps(content, ensure_ascii=False).encode()
        identity = str(derived_id("notification", moment, notification.title, notification.cause))
        headers = {"webhook-id": identity, "webhook-timestamp": str(int(time.time()))}
        if self.secret is not None:
            signed = f"{identity}.{headers['webhook-timestamp']}.".encode() + body
            mac = hmac.digest(_key(self.secret), signed, hashlib.sha256)
            headers["webhook-signature"] = f"v1,{b64encode(mac).decode()}"
        return post(self.url, "GREENLANG_NOTIFY_WEBHOOK_URL", body, headers)


def _key(secret: SecretStr) -> bytes:
    text = secret.get_secret_value()
    if not text.startswith(_PREFIX):
        return text.encode()
    try:
        return b64decode(text.removeprefix(_PREFIX), validate=True)
    except (NotBase64, ValueError):
        failure = NotDelivered(
            f"{_SECRET} begins with {_PREFIX}, and what follows is no base64.",
            "Set it as the receiver shows it, or to any other text.",
        )
    raise failure
