"""What the runbooks tell a person to type is understood: commands are parsed, questions asked."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from textwrap import dedent

import click
import psycopg
import pytest

from greenlang_vectors.cli import app
from greenlang_vectors.notifications.help import CHECKS, ERRORS, STAGES, command_of
from greenlang_vectors.stages.replay import ELSEWHERE
from greenlang_vectors.store.database import Database

pytestmark = pytest.mark.integration

RUNBOOKS = sorted((Path(__file__).parents[3] / "docs" / "runbooks").glob("*.md"))

runbooks = pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)


def parsed(words: list[str]) -> None:
    """Have click understand a command line without doing what it says.

    Raises:
        click.ClickException: it does not.
    """
    command: click.Command = app
    context = None
    while isinstance(command, click.Group):
        context = click.Context(command, parent=context)
        _, found, words = command.resolve_command(context, words)
        assert found is not None
        command = found
    command.make_context(command.name, words, parent=context)


@runbooks
def test_every_command_is_one(page: Path) -> None:
    text = page.read_text("utf-8")
    commands = re.findall(r"^ {4,}greenlang-vectors (.+)$", text, re.MULTILINE)
    mentioned = re.findall(r"`greenlang-vectors ([a-z -]+)`", text)
    for line in commands:
        parsed(shlex.split(line))
    for words in (each.split() for each in mentioned):
        command: click.Command = app
        for word in words:
            assert isinstance(command, click.Group)
            command = command.commands[word]


def test_every_command_that_a_failure_names_is_one() -> None:
    known = [*STAGES.values(), *CHECKS.values(), *ERRORS.values()]
    commands = {command_of(each, "csrd") for each in known}
    commands |= {each.format(namespace="csrd", file="a.jsonl") for each in ELSEWHERE.values()}
    for command in filter(None, commands):
        program, *words = command.split()
        assert program == "greenlang-vectors"
        parsed(words)


@runbooks
def test_every_question_to_the_database_is_answered(page: Path, database: Database) -> None:
    questions = re.findall(r"^ *```sql\n(.*?)^ *```", page.read_text("utf-8"), re.M | re.S)
    with database.connect() as connection:
        for question in questions:
            with connection.transaction(force_rollback=True):
                connection.execute("SET TRANSACTION READ ONLY")
                connection.execute(dedent(question).encode())


@runbooks
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
        assert (page.parent / target).is_file(), target


def test_a_command_that_is_none_would_be_found(database: Database) -> None:
    with pytest.raises(click.ClickException):
        parsed(["indexes", "maintain", "csrd", "--faster"])
    with pytest.raises(click.ClickException):
        parsed(["indexes", "polish", "csrd"])
    with database.connect() as connection, pytest.raises(psycopg.Error):
        connection.execute("SELECT nothing FROM dead_letters")
