"""Damage of any kind, at random: no export that was touched is verified."""

from __future__ import annotations

import itertools
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from greenlang_vectors.backup import exports, verification
from greenlang_vectors.backup.errors import ExportDamaged, UnknownExport
from greenlang_vectors.backup.export import create
from greenlang_vectors.backup.manifest import ROOT, load
from greenlang_vectors.lifecycle.location import open_location
from greenlang_vectors.lifecycle.sealing import sealed
from greenlang_vectors.settings import Settings

from .conftest import Filled

pytestmark = pytest.mark.integration

CORRUPTIONS = 240

Corruption = Callable[[random.Random, Path, Path], None]


@pytest.fixture(scope="module")
def pristine(
    filled: Filled, data_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[str]]:
    """Two exports of one namespace, one after the other."""
    folder = tmp_path_factory.mktemp("pristine")
    settings = Settings(data_dir=data_dir, backup_location=str(folder))
    location = open_location(str(folder))
    made = [create(filled.database, location, filled.name, settings=settings) for _ in range(2)]
    for each in made:
        assert each is not None
        verification.verify(location, load(location, each.export))
    return folder, [each.export for each in made if each is not None]


def some_object(chance: random.Random, export: Path) -> Path:
    return chance.choice(sorted(path for path in export.rglob("*") if path.is_file()))


def flip_a_bit(chance: random.Random, export: Path, _: Path) -> None:
    path = some_object(chance, export)
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def truncate(chance: random.Random, export: Path, _: Path) -> None:
    path = some_object(chance, export)
    data = path.read_bytes()
    path.write_bytes(data[: chance.randrange(len(data))])


def append(chance: random.Random, export: Path, _: Path) -> None:
    path = some_object(chance, export)
    path.write_bytes(path.read_bytes() + chance.randbytes(chance.randrange(1, 100)))


def lose_an_object(chance: random.Random, export: Path, _: Path) -> None:
    some_object(chance, export).unlink()


def zero_a_block(chance: random.Random, export: Path, _: Path) -> None:
    path = some_object(chance, export)
    data = bytearray(path.read_bytes())
    start = chance.randrange(len(data))
    length = min(chance.randrange(1, 4096), len(data) - start)
    if not any(data[start : start + length]):
        start, length = 0, 1
    data[start : start + length] = bytes(length)
    path.write_bytes(data)


def swap_with_the_other(chance: random.Random, export: Path, other: Path) -> None:
    names = [
        path.relative_to(export)
        for path in sorted(export.rglob("*"))
        if path.is_file() and path.read_bytes() != (other / path.relative_to(export)).read_bytes()
    ]
    shutil.copyfile(other / (name := chance.choice(names)), export / name)


def exchange_whole(_: random.Random, export: Path, other: Path) -> None:
    shutil.rmtree(export)
    shutil.copytree(other, export)


def forget_rows(_: random.Random, export: Path, __: Path) -> None:
    location = open_location(str(export.parent.parent))
    manifest = load(location, export.name)
    empty = tuple(table.model_copy(update={"rows": 0}) for table in manifest.tables)
    (export / "manifest.json").write_bytes(sealed(manifest.model_copy(update={"tables": empty})))


def forget_an_object(chance: random.Random, export: Path, __: Path) -> None:
    location = open_location(str(export.parent.parent))
    manifest = load(location, export.name)
    objects = list(manifest.objects)
    del objects[chance.randrange(len(objects))]
    (export / "manifest.json").write_bytes(
        sealed(manifest.model_copy(update={"objects": tuple(objects)}))
    )


KINDS: list[Corruption] = [
    flip_a_bit,
    truncate,
    append,
    lose_an_object,
    zero_a_block,
    swap_with_the_other,
    exchange_whole,
    forget_rows,
    forget_an_object,
]


def test_no_corruption_passes(pristine: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder, (first, second) = pristine
    passed = []
    for number, kind in zip(range(CORRUPTIONS), itertools.cycle(KINDS), strict=False):
        shutil.rmtree(tmp_path / "touched", ignore_errors=True)
        shutil.copytree(folder, tmp_path / "touched")
        touched = tmp_path / "touched" / ROOT
        kind(random.Random(number), touched / first, touched / second)
        location = open_location(str(tmp_path / "touched"))
        try:
            verification.verify(location, load(location, first))
        except (ExportDamaged, UnknownExport):
            continue
        passed.append(f"{kind.__name__} {number}")
    assert passed == []


def test_what_cannot_be_verified_is_listed_as_what_it_is(
    pristine: tuple[Path, list[str]], tmp_path: Path
) -> None:
    folder, (first, second) = pristine
    shutil.copytree(folder, tmp_path / "touched")
    root = tmp_path / "touched" / ROOT
    (root / first / "manifest.json").unlink()
    shutil.copyfile(root / second / "dump", root / first / "dump")
    data = bytearray((root / second / "manifest.json").read_bytes())
    data[200] ^= 1
    (root / second / "manifest.json").write_bytes(data)
    listed = exports.list_exports(open_location(str(tmp_path / "touched")))
    states = {each.id: each.state for each in listed}
    assert states == {first: "unfinished", second: "damaged"}
