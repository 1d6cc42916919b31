"""`greenlang-vectors migrate relay` and `follow`: both sides stay alike while a move lasts."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click
import psycopg

from greenlang_vectors.commands.common import (
    as_json_option,
    bar,
    bars,
    errors,
    opened,
    print_json,
)
from greenlang_vectors.errors import GreenLangError, UsageError
from greenlang_vectors.progress import silent
from greenlang_vectors.settings import get_settings

if TYPE_CHECKING:
    from greenlang_vectors.migration.passes import Carried
    from greenlang_vectors.migration.plan import Primary

_namespace = click.argument("namespace", required=False)
_once = click.option("--once", is_flag=True, help="One pass, instead of until Ctrl-C.")
_every = click.option(
    "--every",
    type=click.FloatRange(0.1),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="From the end of a pass to the next.",
)


@click.command()
@_namespace
@_once
@_every
@click.option("--retry", is_flag=True, help="Try at once what was put off or refused, too.")
@as_json_option
def relay(namespace: str | None, once: bool, every: float, retry: bool, as_json: bool) -> None:
    """Carry what was written to NAMESPACE, or to every namespace under way, to Weaviate.

    With --once it ends with code 1 where anything is left.
    """
    _run("pgvector", namespace, once, every, as_json, retry=retry)


@click.command()
@_namespace
@_once
@_every
@click.option(
    "--allow-empty", is_flag=True, help="Delete all of a tenant or collection that is empty there."
)
@as_json_option
def follow(
    namespace: str | None, once: bool, every: float, allow_empty: bool, as_json: bool
) -> None:
    """Carry what applications changed in Weaviate to NAMESPACE, or to every one that follows it.

    With --once it ends with code 1 where anything failed.
    """
    _run("weaviate", namespace, once, every, as_json, allow_empty=allow_empty)


def _run(
    primary: Primary,
    namespace: str | None,
    once: bool,
    every: float,
    as_json: bool,
    **asked: bool,
) -> None:
    """A pass, or passes until Ctrl-C, which nothing ends that passes by itself."""
    from greenlang_vectors.migration.passes import carry  # noqa: PLC0415

    settings, told = get_settings(), _Told(as_json)
    with opened(settings) as database:
        while True:
            try:
                with bars() as shown:
                    carried = carry(
                        database,
                        settings,
                        primary=primary,
                        namespace=namespace,
                        progress=bar(shown, "carry") if once else silent,
                        **asked,
                    )
            except UsageError:
                raise
            except (GreenLangError, psycopg.Error) as error:
                if once:
                    raise
                told.problems([str(error)])
            else:
                told.done(carried)
                if once:
                    if not as_json and not any(each.said for each in carried):
                        errors.print("Nothing waits to be carried.")
                    sys.exit(int(any(each.failed for each in carried)))
            time.sleep(every)


class _Told:
    """What passes did, as lines for people or as JSON; a problem that stays is told once."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._problems: set[str] = set()

    def done(self, carried: Sequence[Carried]) -> None:
        if self._as_json:
            print_json({"carried": [each.as_json() for each in carried]})
            return
        for each in carried:
            if each.said and not each.failed:
                errors.print(each.said, soft_wrap=True, highlight=False, markup=False)
        self.problems(each.said for each in carried if each.failed)

    def problems(self, said: Iterable[str]) -> None:
        found = set(said)
        for each in sorted(found - self._problems):
            errors.print(each, soft_wrap=True, highlight=False, markup=False)
        self._problems = found
