"""What a filter may compare: its fields, and the values each of them is compared with."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal
from uuid import UUID

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.errors import UsageError

Kind = Literal["text", "uuid", "moment", "json"]

MAX_KEYS: Final = 8
"""Keys of one metadata field."""
MAX_TEXT: Final = 1000
"""Characters of a value, and of a field."""
MAX_DIGITS: Final = 300
"""Digits of an integer."""

ORDER: Final = ("gt", "gte", "lt", "lte")
OPERATORS: Final[dict[Kind, tuple[str, ...]]] = {
    "text": ("eq", "ne", "in", "nin", "like", "exists"),
    "uuid": ("eq", "ne", "in", "nin", "exists"),
    "moment": ("eq", "ne", *ORDER, "in", "nin", "exists"),
    "json": ("eq", "ne", *ORDER, "in", "nin", "like", "exists", "contains"),
}
KEY: Final = r'"(?:[^"\\]|\\.)*"|[^\s."\\=!<>~]+'
"""A key of a metadata field as it is written: a JSON string, or nothing that needs one."""

NUMBERS: Final = frozenset(
    f"metadata.{key}" for key in ("annex", "article", "paragraph", "recital")
)
"""What acts number: "8" and "19a" are text, and the number 8 is meant as well (see `filters`)."""
TEXTS: Final = frozenset(f"metadata.{key}" for key in ("celex", "paragraphs", "recitals"))
"""What is typed for these is text, whatever else it could be read as: `31999E0345` is no number."""

_COLUMNS: Final[dict[str, Kind]] = {
    "source_type": "text",
    "source_id": "uuid",
    "document": "text",
    "created_at": "moment",
    "updated_at": "moment",
}
_KNOWN: Final = f"Fields are {', '.join(_COLUMNS)} and metadata.KEY."
_METADATA: Final = re.compile(rf"metadata(?:\.(?:{KEY}))+")
_PLAIN_KEY: Final = re.compile(r'[^\s."\\=!<>~]+')
_HINTS: Final[dict[Kind, str]] = {
    "text": "It is compared with text.",
    "uuid": "It is compared with UUIDs.",
    "moment": "It is compared with ISO 8601: 2026-01-31 (the whole day) or 2026-01-31T12:00:00Z.",
}


def field(value: JSON, at: str) -> str:
    """The field of this name, as it is written canonically.

    Args:
        at: where it stands, for the message.

    Raises:
        UsageError: there is none.
    """
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise wrong(at, f"is {short(value)}", _KNOWN)
    if value in _COLUMNS:
        return value
    if not _METADATA.fullmatch(value):
        raise wrong(at, f"is {short(value)}", _KNOWN)
    try:
        keys = path_of(value)
    except ValueError:
        raise wrong(at, f"is {short(value)}", 'A quoted key is JSON: metadata."a.b".') from None
    if len(keys) > MAX_KEYS:
        raise wrong(at, f"has {len(keys)} keys", f"At most {MAX_KEYS} are possible.")
    for key in keys:
        _check_text(key, at)
    return ".".join(["metadata", *(k if _PLAIN_KEY.fullmatch(k) else json.dumps(k) for k in keys)])


def kind_of(field: str) -> Kind:
    """What the values of a field are."""
    return _COLUMNS.get(field, "json")


def path_of(field: str) -> tuple[str, ...]:
    """The keys of a metadata field, outermost first."""
    keys = re.findall(KEY, field.removeprefix("metadata"))
    return tuple(json.loads(key) if key.startswith('"') else key for key in keys)


def moments(value: str) -> tuple[datetime, datetime | None]:
    """A moment as (it, None); a day, which has no time, as (its begin, the begin of the next).

    Raises:
        ValueError, OverflowError: it is neither, in ISO 8601.
    """
    try:
        day = date.fromisoformat(value)
    except ValueError:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC), None
    begin = datetime.combine(day, time(), UTC)
    return begin, begin + timedelta(days=1)


def scalar(value: JSON, kind: Kind, at: str, *, ordered: bool = False) -> JSON:
    """One value of a comparison, as it is written canonically.

    Args:
        ordered: it is compared by gt, gte, lt or lte.

    Raises:
        UsageError: it is no value of this kind.
    """
    if kind == "json":
        return _json_scalar(value, at, ordered=ordered)
    if not isinstance(value, str):
        raise wrong(at, f"is {named(value)}, not text", _HINTS[kind])
    _check_text(value, at)
    try:
        if kind == "uuid":
            return str(UUID(value))
        if kind == "moment":
            begin, end = moments(value)
            return begin.isoformat() if end is None else begin.date().isoformat()
    except (ValueError, OverflowError):
        raise wrong(at, f"is {short(value)}", _HINTS[kind]) from None
    return value


def pattern(value: JSON, at: str) -> str:
    """A pattern of like.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(value, str):
        raise wrong(at, f"is {named(value)}", "like takes a text in which % and _ stand for any.")
    _check_text(value, at)
    if (len(value) - len(value.rstrip("\\"))) % 2:
        raise wrong(at, "ends with a single \\", "Write \\\\ for the character itself.")
    return value


def _json_scalar(value: JSON, at: str, *, ordered: bool) -> JSON:
    match value:
        case str():
            _check_text(value, at)
        case bool() if not ordered:
            pass
        case int() if not isinstance(value, bool):
            if abs(value) >= 10**MAX_DIGITS:
                raise wrong(at, f"has more than {MAX_DIGITS} digits", "")
        case float() if math.isfinite(value):
            return int(value) if value.is_integer() and abs(value) < 2**53 else value
        case None:
            raise wrong(at, "is null", "Ask with exists whether something is there.")
        case _:
            possible = "a number or text" if ordered else "a number, text, true or false"
            raise wrong(at, f"is {named(value)}", f"Possible is {possible}.")
    return value


def _check_text(text: str, at: str) -> None:
    """Refuse text that PostgreSQL cannot hold, or that is too long."""
    if len(text) > MAX_TEXT:
        raise wrong(at, f"has {len(text)} characters", f"At most {MAX_TEXT} are possible.")
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise wrong(at, "holds a NUL or half a surrogate pair", "Nothing that is stored does.")


def named(value: JSON) -> str:  # noqa: PLR0911 - one for each kind
    """What kind of JSON a value is."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case float() if not math.isfinite(value):
            return "a number that is not finite"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
    return "an object"


def short(value: object) -> str:
    """The value for a message."""
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def wrong(at: str, what: str, possible: str) -> UsageError:
    """The error that says where, what is wrong there and what is possible."""
    return UsageError(f"{at} {what}.", possible)
