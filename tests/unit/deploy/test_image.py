"""The images are built of what is here, by steps that refer to each other, and run as nobody."""

from __future__ import annotations

import re
import shlex
import tomllib
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.image.requirements import requirements
from greenlang_vectors.cli import app

from .manifests import parse

IMAGES = ("greenlang-vectors", "pgbouncer")
TOOLS = re.compile(r"\b(build-essential|curl|gcc|g\+\+|git|make|pip|wget|-dev)\b")


@dataclass
class Stage:
    """A stage of a Dockerfile: what it begins with, and its instructions."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def values(self, instruction: str) -> list[str]:
        return [value for name, value in self.steps if name == instruction]


def stages(path: Path) -> tuple[dict[str, str], list[Stage]]:
    """The arguments before the first stage, with their defaults, and the stages."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    arguments: dict[str, str] = {}
    found: list[Stage] = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        instruction, _, value = line.strip().partition(" ")
        if instruction == "FROM":
            base, _, name = value.partition(" AS ")
            found.append(Stage(base, name))
        elif found:
            found[-1].steps.append((instruction, value.strip()))
        else:
            assert instruction == "ARG"
            arguments.update([value.split("=", 1)])
    return arguments, found


@pytest.fixture(scope="module")
def dockerfile(repository: Path) -> tuple[dict[str, str], list[Stage]]:
    return stages(repository / "deploy" / "image" / "Dockerfile")


def final(dockerfile: tuple[dict[str, str], list[Stage]], name: str) -> Stage:
    return next(stage for stage in dockerfile[1] if stage.name == name)


def test_each_stage_begins_with_a_version(dockerfile: tuple[dict[str, str], list[Stage]]) -> None:
    arguments, found = dockerfile
    assert [stage.name for stage in found] == ["build", "pgbouncer", "greenlang-vectors"]
    for stage in found:
        named = re.fullmatch(r"\$\{(\w+)\}", stage.base)
        assert named is not None
        image, _, tag = arguments[named[1]].partition(":")
        assert image
        assert tag not in ("", "latest")


def test_what_is_copied_is_here_and_sent_to_the_builder(
    dockerfile: tuple[dict[str, str], list[Stage]], repository: Path
) -> None:
    ignored = (repository / ".dockerignore").read_text().splitlines()
    sent = [line[1:] for line in ignored if line.startswith("!")]
    assert "*" in ignored
    seen: list[str] = []
    copied: list[str] = []
    for stage in dockerfile[1]:
        assert stage.values("ADD") == []
        for value in stage.values("COPY"):
            *sources, _ = [each for each in value.split() if not each.startswith("--")]
            if origin := re.search(r"--from=(\S+)", value):
                assert origin[1] in seen
            else:
                copied += sources
        seen.append(stage.name)
    for source in copied:
        assert (repository / source).exists(), source
        assert any(fnmatch(source, pattern) for pattern in sent), source
    assert set(sent) == set(copied)


def test_every_package_is_in_it(
    dockerfile: tuple[dict[str, str], list[Stage]], repository: Path
) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())
    packages = project["tool"]["setuptools"]["packages"]["find"]["include"]
    copied = {value.split()[0] for value in final(dockerfile, "build").values("COPY")}
    assert {package.rstrip("*") for package in packages} <= copied


@pytest.mark.parametrize("name", IMAGES)
def test_it_runs_as_nobody_and_holds_no_tools_to_build_with(
    dockerfile: tuple[dict[str, str], list[Stage]], name: str
) -> None:
    stage = final(dockerfile, name)
    assert stage.values("USER") == ["10001:10001"]
    assert [step for step in stage.values("RUN") if TOOLS.search(step)] == []
    after = stage.steps[stage.steps.index(("USER", "10001:10001")) :]
    assert "RUN" not in {instruction for instruction, _ in after}
    assert len(stage.values("HEALTHCHECK")) == 1


def test_nothing_stands_before_a_containers_command(
    dockerfile: tuple[dict[str, str], list[Stage]],
) -> None:
    """Dagster's chart gives the code location's whole command as arguments."""
    stage = final(dockerfile, "greenlang-vectors")
    assert stage.values("ENTRYPOINT") == []
    [command] = stage.values("CMD")
    program, *arguments = shlex.split(command.strip("[]").replace(",", " "))
    assert program == "greenlang-vectors"
    parse(app, arguments)


def test_pgbouncer_lets_transactions_end(dockerfile: tuple[dict[str, str], list[Stage]]) -> None:
    assert final(dockerfile, "pgbouncer").values("STOPSIGNAL") == ["SIGINT"]


def test_every_dependency_is_pinned_and_installed(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    extras = ["aws", "kafka", "kubernetes", "openvino", "tracing", "weaviate"]
    given = requirements(repository / "pyproject.toml", extras)
    assert {*project["dependencies"], *project["optional-dependencies"]["kubernetes"]} <= {*given}
    lines = (repository / "constraints.txt").read_text().lower().replace("_", "-").splitlines()
    pinned = {line.partition("==")[0] for line in lines}
    assert {re.split(r"[\[<>=;]", each)[0].replace("_", "-") for each in given} <= pinned
    [step] = [
        line
        for line in (repository / "deploy/image/Dockerfile").read_text().splitlines()
        if "requirements.py aws" in line
    ]
    assert step.split("requirements.py ")[1].split(" >")[0].split() == extras


def test_the_program_says_its_version() -> None:
    said = CliRunner().invoke(app, ["--version"])
    assert said.exit_code == 0
    assert re.search(r"version \d+\.\d+\.\d+$", said.output.strip())
