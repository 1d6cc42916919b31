"""This machine and what stands beside the database: folders, disk, backups' place, model, Redis."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from greenlang_vectors.backup import programs
from greenlang_vectors.doctor.findings import Finding, Subject, judged
from greenlang_vectors.embedding.backends import PRECISIONS, installed
from greenlang_vectors.embedding.models import OPENAI_DIMENSIONS, resolve_model
from greenlang_vectors.errors import GreenLangError
from greenlang_vectors.lifecycle.location import open_location
from greenlang_vectors.settings import Settings

if TYPE_CHECKING:
    from redis import Redis

ANSWER_SECONDS = 1.5
"""What a bucket or Redis may take."""

DISK_LOW, DISK_FULL = 0.15, 0.05
"""Shares of a disk that are left."""


def folders(settings: Settings) -> Iterator[Finding]:
    """Whether what must be written can be, and how much room is left."""
    places = {"data directory": settings.data_dir}
    if "://" not in settings.backup_location:
        places["backup location"] = Path(settings.backup_location).expanduser()
    seen = set()
    for name, folder in places.items():
        there = _existing(folder)
        yield judged(
            "folders",
            name,
            "error",
            f"{folder}{'' if there == folder else ' (not made yet)'}",
            well=there.is_dir() and os.access(there, os.W_OK | os.X_OK),
            expected="may be written",
            remedy=f"Give this user the right to write to {there}, or name another folder.",
        )
        device = there.stat().st_dev
        if device not in seen:
            seen.add(device)
            yield _disk(name, there)
    yield from _key_file(settings)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    absolute = folder.absolute()
    return next(each for each in (absolute, *absolute.parents) if each.exists())


def _disk(name: str, folder: Path) -> Finding:
    usage = shutil.disk_usage(folder)
    left = usage.free / usage.total
    return judged(
        "folders",
        f"disk of the {name}",
        "error" if left < DISK_FULL else "warning",
        f"{usage.free / 1e9:,.1f} GB of {usage.total / 1e9:,.1f} GB free",
        well=left >= DISK_LOW,
        expected=f"{DISK_LOW:.0%} free at least",
        remedy="Make room, or move it: a database whose disk is full stops.",
    )


def _key_file(settings: Settings) -> Iterator[Finding]:
    path = settings.encryption_key_path
    if settings.encryption_kms_key is not None or not path.exists():
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    yield judged(
        "folders",
        "master key file",
        "error",
        f"mode {mode:03o}",
        well=not mode & 0o077,
        expected="nobody but its owner reads it",
        source="docs/security.md",
        remedy=f"chmod 600 {path}",
    )


def bucket(settings: Settings) -> Iterator[Finding]:
    """Whether a backup location in S3 answers; writing to it is not tried."""
    if "://" not in settings.backup_location:
        return

    def look() -> Finding:
        open_location(settings.backup_location).folders("")
        return Finding("backups", "location", "ok", f"{settings.backup_location} answers")

    yield _within("backups", "location", look, "Check GREENLANG_BACKUP_LOCATION, AWS_* and rights.")


def model(settings: Settings) -> Iterator[Finding]:
    """Whether the embedding model is here, or may be asked."""
    name = settings.embedding_model
    try:
        spec = resolve_model(name)
    except GreenLangError as error:
        yield Finding("model", name, "error", error.message, remedy=error.remedy)
        return
    if name in OPENAI_DIMENSIONS:
        yield judged(
            "model",
            name,
            "error",
            "an API key is set" if settings.openai_api_key else "no API key",
            well=settings.openai_api_key is not None,
            remedy="Set GREENLANG_OPENAI_API_KEY.",
        )
        return
    yield Finding("model", name, "ok", f"{spec.dimensions} dimensions, {spec.max_tokens} tokens")
    backend, precision = settings.embedding_backend, settings.embedding_precision
    yield judged(
        "model",
        "backend",
        "error",
        f"{backend} in {precision}",
        well=installed(backend) and precision in PRECISIONS[backend],
        expected="one that is installed, in a precision it has",
        remedy=f"Install greenlang-vectors[{backend}]; `bench embedding` tells what runs here.",
    )


def redis(settings: Settings) -> Iterator[Finding]:
    """Whether Redis answers, and forgets in time where embeddings are cached in it."""
    caching = settings.embedding_cache == "redis"
    if settings.redis_url is None:
        if caching:
            yield Finding(
                "redis",
                "connection",
                "error",
                "not set",
                "a Redis for the embedding cache",
                remedy="Set GREENLANG_REDIS_URL, or GREENLANG_EMBEDDING_CACHE to postgres.",
            )
        return
    url = settings.redis_url.get_secret_value()
    remedy = "Check GREENLANG_REDIS_URL: without it each process counts requests alone"
    remedy += ", and embeddings are not cached." if caching else "."
    found = _of_redis(url, "connection", _answers, remedy)
    yield found
    if caching and found.level == "ok":
        yield _of_redis(url, "memory", _forgets, remedy)


def _of_redis(url: str, check: str, ask: Callable[[Redis], Finding], remedy: str) -> Finding:
    from redis import Redis  # noqa: PLC0415 - where it is set only
    from redis.exceptions import RedisError  # noqa: PLC0415

    def look() -> Finding:
        try:
            with Redis.from_url(
                url, socket_connect_timeout=ANSWER_SECONDS, socket_timeout=ANSWER_SECONDS
            ) as client:
                return ask(client)
        except (RedisError, ValueError, TypeError) as error:  # a URL may hold what is no option
            said = f"does not answer ({type(error).__name__})"
            return Finding("redis", check, "error", said, remedy=remedy)

    return _within("redis", check, look, remedy)


def _answers(client: Redis) -> Finding:
    client.ping()
    return Finding("redis", "connection", "ok", "answers")


def _forgets(client: Redis) -> Finding:
    """Persistence is not looked at: what is lost is made again."""
    memory = cast("dict[str, Any]", client.info("memory"))
    most, policy = int(memory["maxmemory"]), str(memory["maxmemory_policy"])
    bound = f"{most / 2**20:,.0f} MiB" if most else "no bound"
    return judged(
        "redis",
        "memory",
        "warning",
        f"{bound}, {policy}",
        well=most > 0 and policy != "noeviction",
        expected="a bound, and a policy that evicts",
        source="docs/store.md",
        remedy="Set maxmemory, and maxmemory-policy to volatile-lru: else embeddings fill its"
        " machine's memory, or it takes nothing more, counts of requests included.",
    )


def dump_programs(subject: Subject) -> Iterator[Finding]:
    """Whether exports and restores have programs of the server's version."""
    version = subject.connection.info.server_version // 10_000
    for name in ("pg_dump", "pg_restore"):
        try:
            found = programs.find(name, subject.settings, at_least=version)
        except GreenLangError as error:
            yield Finding("backups", name, "error", error.message, remedy=error.remedy)
        else:
            yield Finding("backups", name, "ok", found.version, f"{version} or newer")


def _within(area: str, check: str, look: Callable[[], Finding], remedy: str) -> Finding:
    """What a look at something over the network finds, which may not take long."""
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(look).result(ANSWER_SECONDS)
    except TookTooLong:
        said = f"no answer within {ANSWER_SECONDS:g} s"
    except GreenLangError as error:
        said = error.message
    finally:
        pool.shutdown(wait=False)
    return Finding(area, check, "error", said, remedy=remedy)
