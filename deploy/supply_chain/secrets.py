"""Secrets that were committed by mistake, looked for in every tracked file.

Keys whose form tells what they open (AWS, GitHub, OpenAI, private keys, JWT, …) are looked for
everywhere; passwords in URLs and in assignments everywhere but in tests and documents, which are
full of examples. A line that must stay says `pragma: allowlist secret`.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from detect_secrets.core.scan import scan_file
from detect_secrets.plugins.base import RegexBasedDetector
from detect_secrets.plugins.keyword import DENYLIST, KeywordDetector
from detect_secrets.settings import get_plugins, transient_settings

OF_KNOWN_FORM = (
    "ArtifactoryDetector",
    "AWSKeyDetector",
    "AzureStorageKeyDetector",
    "GitHubTokenDetector",
    "GitLabTokenDetector",
    "JwtTokenDetector",
    "NpmDetector",
    "OpenAIDetector",
    "PrivateKeyDetector",
    "PypiTokenDetector",
    "SendGridDetector",
    "SlackDetector",
    "StripeDetector",
    "TwilioKeyDetector",
)
GUESSED = ("BasicAuthDetector", "KeywordDetector")
IGNORED = (
    "is_indirect_reference",
    "is_not_alphanumeric_string",
    "is_prefixed_with_dollar_sign",
    "is_sequential_string",
    "is_templated_secret",
)
"""What is no guess worth telling, by detect-secrets' own heuristics."""
HARMLESS = [r"\s", r"^[A-Z_]+$", r"^scram", r"^[a-z]+(-[a-z]+)+$", r"_$"]
"""Sentences, placeholders, ways of keeping a password, names of Kubernetes' secrets, prefixes."""
EXAMPLES = ("tests/", "docs/", "samples/", "README.md")

_FILTERS = "detect_secrets.filters"


@dataclass(frozen=True, slots=True)
class Finding:
    """Where something looks like a secret, and like what; never the secret."""

    path: str
    line: int
    kind: str


def tracked(root: Path) -> list[str]:
    """The files that git knows, relative to the root."""
    command = ["git", "-C", str(root), "ls-files", "-z"]
    listed = subprocess.run(command, capture_output=True, check=True)  # noqa: S603
    return [name for name in listed.stdout.decode().split("\0") if (root / name).is_file()]


def findings(root: Path, names: Sequence[str]) -> Iterator[Finding]:
    """What looks like a secret in these files."""
    allowed = {"path": f"{_FILTERS}.allowlist.is_line_allowlisted"}
    yield from _found(root, names, OF_KNOWN_FORM, [allowed])
    no_examples = [name for name in names if not name.startswith(EXAMPLES)]
    harmless = {"path": f"{_FILTERS}.regex.should_exclude_secret", "pattern": HARMLESS}
    heuristics = [{"path": f"{_FILTERS}.heuristic.{name}"} for name in IGNORED]
    yield from _found(root, no_examples, GUESSED, [allowed, harmless, *heuristics])


def _found(
    root: Path, names: Sequence[str], plugins: Sequence[str], filters: Sequence[object]
) -> Iterator[Finding]:
    wanted = {"plugins_used": [{"name": plugin} for plugin in plugins], "filters_used": filters}
    with transient_settings(wanted):
        signs = _signs()
        for name in names:
            text = (root / name).read_text("utf-8", errors="replace")
            if any(sign.search(text) for sign in signs):
                for secret in scan_file(str(root / name)):
                    yield Finding(name, secret.line_number, secret.type)


def _signs() -> list[re.Pattern[str]]:
    """What a file must hold before its lines are looked at one by one, which takes long."""
    signs = [
        re.compile(sign.pattern, sign.flags | re.MULTILINE)
        for plugin in get_plugins()
        if isinstance(plugin, RegexBasedDetector)
        for sign in plugin.denylist
    ]
    if any(isinstance(plugin, KeywordDetector) for plugin in get_plugins()):
        signs.append(re.compile("|".join(DENYLIST), re.IGNORECASE))
    return signs
