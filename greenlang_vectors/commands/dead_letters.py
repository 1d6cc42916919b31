"""`greenlang-vectors dead-letters`: what failed beside what went on, and trying it again."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click
import psycopg
from rich.markup import escape
from rich.table import Table

from greenlang_vectors.commands.common import (
    as_json_option,
    bar,
    bars,
    embedders_of,
    errors,
    opened,
    output,
    print_json,
)
from greenlang_vectors.errors import UsageError
from greenlang_vectors.settings import get_settings
from greenlang_vectors.store import dead_letters, namespaces
from greenlang_vectors.store.dead_letters import DeadLetter

if TYPE_CHECKING:
    from greenlang_vectors.stages.replay import Replayed

_ids = click.argument("ids", metavar="[ID]...", nargs=-1, type=click.UUID)
_namespace = click.option("--namespace", metavar="NAME", help="Only of this namespace.")
_stage = click.option("--stage", metavar="NAME", help="Only those that failed at this stage.")


@click.group("dead-letters")
def dead_letters_group() -> None:
    """Items that failed at one stage while their neighbours went on."""


@dead_letters_group.command("list")
@_namespace
@_stage
@click.option("--discarded", is_flag=True, help="Those that were given up, too.")
@as_json_option
def list_letters(namespace: str | None, stage: str | None, discarded: bool, as_json: bool) -> None:
    """Show what failed, why, how often, and what helps."""
    with opened(get_settings()) as database, database.connection() as connection:
        found = _of(connection, namespace, stage, discarded=discarded)
    if as_json:
        print_json({"dead_letters": [asdict(letter) for letter in found]})
    elif found:
        output.print(_table(found))
    else:
        errors.print("There are no dead letters.")


@dead_letters_group.command("show")
@click.argument("identity", metavar="ID", type=click.UUID)
@click.option(
    "--original",
    type=click.Path(path_type=Path, dir_okay=False, exists=False),
    metavar="FILE",
    help="Write what failed into this file: the document, its text or the passage.",
)
@as_json_option
def show_letter(identity: UUID, original: Path | None, as_json: bool) -> None:
    """Show one letter whole: reason, remedy, and where the original is."""
    from greenlang_vectors.stages import originals, replay  # noqa: PLC0415 - loads slowly

    with opened(get_settings()) as database, database.connection() as connection:
        [letter] = dead_letters.find(connection, [identity])
        place = originals.where(connection, letter)
        if original is not None:
            _write(original, originals.read(connection, letter))
    command = replay.command(letter)
    if as_json:
        print_json({**asdict(letter), "original": place})
        return
    table = Table.grid(padding=(0, 2))
    for name, value in {
        "id": letter.id,
        "namespace": letter.namespace,
        "stage": letter.stage,
        "item": letter.item,
        "reason": letter.reason,
        "what happened": letter.message,
        "what helps": letter.remedy,
        "then": command if command != letter.remedy else "",
        "original": place,
        "failed": f"{letter.attempts} times, first {_at(letter.first_failed_at)},"
        f" last {_at(letter.last_failed_at)}",
        "discarded": ""
        if letter.discarded_at is None
        else f"{_at(letter.discarded_at)} by {letter.discarded_by}",
    }.items():
        if value:
            table.add_row(name, escape(str(value)))
    output.print(table)


@dead_letters_group.command("replay")
@_ids
@_namespace
@_stage
@as_json_option
def replay_letters(
    ids: tuple[UUID, ...], namespace: str | None, stage: str | None, as_json: bool
) -> None:
    """Try these letters, or all open ones of a namespace, again: through their stage alone.

    Messages of a topic are stored again as they came. Of a namespace, letters that something else
    has to try are left, and told with what does. Ends with code 1 where one failed again.
    """
    from greenlang_vectors.ingest import replay  # noqa: PLC0415 - loads slowly
    from greenlang_vectors.ingest.messages import STAGE as MESSAGES  # noqa: PLC0415

    settings = get_settings()
    with opened(settings) as database:
        with database.connection() as connection:
            chosen = _chosen(connection, ids, namespace, stage)
            if not ids:
                chosen, left = replay.split(connection, chosen)
                for what, count in Counter(map(replay.instead, left)).items():
                    errors.print(
                        f"{count} dead letters are not replayed here. {what}",
                        soft_wrap=True,
                        highlight=False,
                        markup=False,
                    )
        with bars() as shown:
            results = replay.replay(
                database,
                chosen,
                embedders=embedders_of(database, settings),
                settings=settings,
                progress=lambda name: bar(shown, name),
            )
    if as_json:
        print_json({"replayed": [_result(each) for each in results]})
    elif results:
        output.print(_results(results))
    came_through = [each.letter for each in results if each.again is None]
    if settled := sorted({each.namespace for each in came_through if each.stage != MESSAGES}):
        errors.print(
            f"What came through goes on with the next run: start the job ingest of"
            f" {', '.join(settled)} in Dagster, or wait for the schedule daily_refresh.",
            highlight=False,
        )
    if any(each.again is not None for each in results):
        sys.exit(1)


@dead_letters_group.command("discard")
@_ids
@_namespace
@_stage
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json_option
def discard_letters(
    ids: tuple[UUID, ...], namespace: str | None, stage: str | None, yes: bool, as_json: bool
) -> None:
    """Give up these letters, or all open ones of a namespace.

    They are counted no more while they fail for the same reason; who gave them up is kept.
    """
    with opened(get_settings()) as database, database.connection() as connection:
        chosen = _chosen(connection, ids, namespace, stage)
        if chosen and not yes:
            errors.print(_table(chosen))
            click.confirm(f"Give up these {len(chosen)}?", abort=True, err=True)
        dead_letters.discard(connection, [letter.id for letter in chosen])
    if as_json:
        print_json({"discarded": [str(letter.id) for letter in chosen]})
    else:
        errors.print(f"{len(chosen)} dead letters are discarded.")


def _chosen(
    connection: psycopg.Connection, ids: Sequence[UUID], namespace: str | None, stage: str | None
) -> list[DeadLetter]:
    """The letters of these ids, or the open ones of a namespace."""
    if bool(ids) == bool(namespace):
        raise UsageError("Name the letters by their ids, or all of a namespace with --namespace.")
    if ids:
        return [
            letter for letter in dead_letters.find(connection, ids) if stage in {None, letter.stage}
        ]
    return _of(connection, namespace, stage)


def _of(
    connection: psycopg.Connection,
    namespace: str | None,
    stage: str | None,
    *,
    discarded: bool = False,
) -> list[DeadLetter]:
    """The letters of one namespace, or of all."""
    if namespace is None:
        names = [each.name for each in namespaces.list_all(connection)]
    else:
        names = [namespaces.get(connection, namespace).name]
    return [
        letter
        for name in names
        for letter in dead_letters.list_all(connection, name, stage, discarded=discarded)
    ]


def _write(file: Path, data: bytes) -> None:
    try:
        with file.open("xb") as copy:
            copy.write(data)
    except OSError as error:
        raise UsageError(
            f"{str(file)!r} cannot be written: {error.strerror}.", "Name a file that is not there."
        ) from error
    errors.print(f"{len(data):,} bytes are in {file}.", highlight=False)


def _table(letters: Sequence[DeadLetter]) -> Table:
    table = Table("namespace", "stage", "item", "reason", "what helps", "failed", "last", "id")
    for letter in letters:
        table.add_row(
            letter.namespace,
            letter.stage,
            escape(letter.item),
            letter.reason if letter.discarded_at is None else f"{letter.reason} (discarded)",
            escape(letter.remedy),
            str(letter.attempts),
            _at(letter.last_failed_at),
            str(letter.id),
        )
    return table


def _results(results: Sequence[Replayed]) -> Table:
    table = Table("namespace", "stage", "item", "result", "what happened, and what helps")
    for each in results:
        again = each.again
        table.add_row(
            each.letter.namespace,
            each.letter.stage,
            escape(each.letter.item),
            "settled" if again is None else "failed again",
            "" if again is None else escape(f"{again.message} {again.remedy}".strip()),
        )
    return table


def _result(each: Replayed) -> dict[str, Any]:
    """As JSON; of a letter that failed again, what is known of it now."""
    return {"settled": each.again is None, **asdict(each.again or each.letter)}


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
