"""deploy/terraform as python-hcl2 reads it: modules, what they declare, what they refer to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import hcl2

ROOT = Path(__file__).resolve().parents[4] / "deploy" / "terraform"
MODULES = ROOT / "modules"
PROFILES = ("dev", "staging", "production")

_PLAIN = hcl2.SerializationOptions(
    strip_string_quotes=True, explicit_blocks=False, with_comments=False
)

Block = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Module:
    """One folder of configuration; resources and data by type and name."""

    path: Path
    variables: dict[str, Block] = field(default_factory=dict)
    locals: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Block] = field(default_factory=dict)
    resources: dict[tuple[str, str], Block] = field(default_factory=dict)
    data: dict[tuple[str, str], Block] = field(default_factory=dict)
    calls: dict[str, Block] = field(default_factory=dict)
    providers: list[Block] = field(default_factory=list)

    @property
    def name(self) -> str:
        return "root" if self.path == ROOT else self.path.name

    def called(self, call: str) -> Module:
        """The module that a call names."""
        return module((self.path / self.calls[call]["source"]).resolve())


@cache
def parsed(path: Path) -> dict[str, Any]:
    return hcl2.loads(path.read_text("utf-8"), serialization_options=_PLAIN)


@cache
def module(path: Path) -> Module:
    found = Module(path)
    for file in sorted(path.glob("*.tf")):
        content = parsed(file)
        for kind, into in (("variable", found.variables), ("output", found.outputs)):
            _add(into, _named(content.get(kind, [])), file)
        _add(found.calls, _named(content.get("module", [])), file)
        found.providers.extend(content.get("provider", []))
        for block in content.get("locals", []):
            _add(found.locals, block.items(), file)
        for kind, typed in (("resource", found.resources), ("data", found.data)):
            for type_, block in _named(content.get(kind, [])):
                _add(typed, (((type_, name), body) for name, body in block.items()), file)
    return found


def modules() -> list[Module]:
    """The root and every module, whether it is called or not."""
    return [module(ROOT), *(module(path) for path in sorted(MODULES.iterdir()) if path.is_dir())]


def text(value: object) -> Iterator[str]:
    """Every string in a value that holds an expression."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from text(key)
            yield from text(each)
    elif isinstance(value, list):
        for each in value:
            yield from text(each)
    elif isinstance(value, str) and "${" in value:
        yield value


def everything(of: Module) -> Iterator[tuple[str, object]]:
    """Every block of a module, and what to call it."""
    for kind in ("variables", "outputs", "resources", "data", "calls"):
        for key, block in getattr(of, kind).items():
            yield f"{of.name}: {kind} {key}", block
    for key, value in of.locals.items():
        yield f"{of.name}: local {key}", value
    for provider in of.providers:
        yield f"{of.name}: provider", provider


def statements(document: Block) -> list[Block]:
    """The statements of an aws_iam_policy_document that are written out."""
    found: list[Block] = document["statement"]
    return found


def listed(value: object) -> list[str]:
    """The literal strings of a list."""
    assert isinstance(value, list)
    return [each for each in value if isinstance(each, str)]


def actions(document: Block) -> set[str]:
    return {action for each in statements(document) for action in listed(each["actions"])}


def _named(blocks: list[Block]) -> Iterator[tuple[str, Any]]:
    for block in blocks:
        for name, body in block.items():
            yield re.sub(r'^"|"$', "", name), _unquoted(body)


def _unquoted(body: Any) -> Any:  # noqa: ANN401
    if isinstance(body, dict):
        return {re.sub(r'^"|"$', "", key): value for key, value in body.items()}
    return body


def _add(into: dict[Any, Any], found: Any, file: Path) -> None:  # noqa: ANN401
    for key, value in found:
        assert key not in into, f"{file}: {key} is declared twice"
        into[key] = value
