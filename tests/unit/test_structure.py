"""The house keeps its shape: imports run one way, modules stay small, SQL is never pasted."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = "greenlang_vectors"
PACKAGES = (LIBRARY, "assets", "resources", "schedules", "local", "benchmarks", "deploy")

# Each may import those before it, and itself.
LAYERS = (
    {"errors", "settings", "progress", "retries", "tracing", "aws"},
    {"documents", "chunking"},
    {"store"},
    {"embedding"},
    {"search"},
    {"quality"},
    {"lifecycle"},
    {"stages"},
    {"landing"},
    {"direct"},
    {"ingest"},
    {"migration"},
    {"backup"},
    {"monitoring"},
    {"notifications"},
    {"planning", "doctor"},
    {"service"},
    {"integrations", "api"},
    {"status_table"},
    {"commands"},
    {"cli", "__main__"},
    {"definitions"},
)
OUTER = {
    "resources": {LIBRARY},
    "assets": {LIBRARY, "resources"},
    "schedules": {LIBRARY, "resources", "assets"},
    "local": {LIBRARY, "resources", "assets", "schedules"},
    "benchmarks": {LIBRARY},
    "deploy": set(),
}
MAX_LINES = 400


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def layer(part: str) -> int:
    return next(rank for rank, parts in enumerate(LAYERS) if part in parts)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", modules(LIBRARY), ids=relative)
def test_the_library_imports_downwards(path: Path) -> None:
    part = path.relative_to(ROOT / LIBRARY).parts[0].removesuffix(".py")
    if part == "__init__":
        return
    for name in imports(path):
        pieces = name.split(".")
        if pieces[0] == LIBRARY and len(pieces) > 1:
            assert layer(pieces[1]) <= layer(part), f"{part} imports {name}"
        if part != "definitions":
            assert pieces[0] not in {"dagster", *OUTER}, f"{part} imports {name}"


@pytest.mark.parametrize("package", OUTER)
def test_what_stands_around_the_library_imports_inwards(package: str) -> None:
    own = {*PACKAGES} - {package} - OUTER[package]
    for path in modules(package):
        for name in imports(path):
            assert name.split(".")[0] not in own, f"{relative(path)} imports {name}"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_is_small_and_says_what_belongs_in_it(package: str) -> None:
    for path in modules(package):
        source = path.read_text()
        assert ast.get_docstring(ast.parse(source)), f"{relative(path)} has no docstring"
        assert len(source.splitlines()) <= MAX_LINES, f"{relative(path)} is long"


@pytest.mark.parametrize("package", PACKAGES)
def test_no_value_is_pasted_into_sql(package: str) -> None:
    for path in modules(package):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr in {"execute", "executemany", "copy", "SQL"} and node.args:
                pasted = isinstance(node.args[0], ast.JoinedStr | ast.BinOp)
                assert not pasted, f"{relative(path)}:{node.lineno} builds SQL from strings"
