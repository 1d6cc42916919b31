"""The settings of the HTTP API: who may enter, and how much he may send."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import limits

from greenlang_vectors.doctor.findings import Finding, Level, judged
from greenlang_vectors.settings import ProfileName, Settings

SOURCE = "docs/api.md"


def tokens(settings: Settings, profile: ProfileName) -> Iterator[Finding]:
    """Tokens of an identity provider: their keys come by TLS, and they are for this API alone."""
    severe: Level = "warning" if profile == "dev" else "error"
    url = settings.api_jwks_url
    if url is None:
        yield Finding("api", "tokens", "ok", "none are taken: only API keys open it")
        return
    yield judged(
        "api",
        "token keys",
        severe,
        urlsplit(url).scheme or "a path",
        well=urlsplit(url).scheme != "http",
        expected="https, or a file",
        source=SOURCE,
        remedy="Let GREENLANG_API_JWKS_URL begin with https: whoever answers in its place could let"
        " anybody in.",
    )
    for name, value in (
        ("GREENLANG_API_JWT_AUDIENCE", settings.api_jwt_audience),
        ("GREENLANG_API_JWT_ISSUER", settings.api_jwt_issuer),
    ):
        yield judged(
            "api",
            name,
            severe,
            value or "not set",
            well=value is not None,
            expected="set where tokens are taken",
            source=SOURCE,
            remedy=f"Set {name}: a token made for something else would be taken.",
        )


def bounds(settings: Settings, profile: ProfileName) -> Iterator[Finding]:
    """Rates, sites and metrics."""
    severe: Level = "warning" if profile == "dev" else "error"
    try:
        limits.parse(settings.api_rate_limit)
        readable = True
    except ValueError:
        readable = False
    yield judged(
        "api",
        "rate limit",
        "error",
        settings.api_rate_limit,
        well=readable,
        expected="such as 100/second",
        source=SOURCE,
        remedy="Write GREENLANG_API_RATE_LIMIT as 100/second or 6000/minute.",
    )
    yield judged(
        "api",
        "sites of browsers",
        severe,
        settings.api_cors_origins or "none",
        well="*" not in settings.api_cors_origins,
        expected="sites by name",
        source=SOURCE,
        remedy="Name the sites in GREENLANG_API_CORS_ORIGINS.",
    )
    if profile != "dev":
        yield judged(
            "api",
            "requests are counted",
            "warning",
            "by each process alone" if settings.redis_url is None else "in Redis",
            well=settings.redis_url is not None,
            expected="together",
            source=SOURCE,
            remedy="Set GREENLANG_REDIS_URL where several processes serve.",
        )
