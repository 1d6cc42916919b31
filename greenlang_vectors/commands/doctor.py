"""`doctor`: whether a live deployment is as its profile wants it, and what to change."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict
from typing import cast, get_args

import click
from rich.markup import escape
from rich.table import Table

from greenlang_vectors.commands.common import as_json_option, errors, output, print_json
from greenlang_vectors.doctor.examination import examine, worst
from greenlang_vectors.doctor.findings import LEVELS, Finding, Level
from greenlang_vectors.settings import ProfileName, get_settings

COLOURS: dict[Level, str] = {"ok": "green", "warning": "yellow", "error": "red"}


@click.command("doctor")
@click.option(
    "--profile", type=click.Choice(get_args(ProfileName)), help="GREENLANG_PROFILE by default."
)
@as_json_option
def doctor(profile: str | None, as_json: bool) -> None:
    """Look at database and machine, and say what to change; nothing is changed.

    Exit code 0: nothing is to be changed; 1: there are warnings; 2: there are errors.
    """
    settings = get_settings()
    chosen = cast("ProfileName", profile or settings.profile)
    found = sorted(
        examine(settings, chosen), key=lambda each: LEVELS.index(each.level), reverse=True
    )
    if as_json:
        print_json({"profile": chosen, "findings": [asdict(each) for each in found]})
    else:
        _print(found, chosen)
    sys.exit(worst(found))


def _print(found: list[Finding], profile: str) -> None:
    table = Table("", "area", "looked at", "found", "expected", title=f"profile {profile}")
    for each in found:
        colour = COLOURS[each.level]
        wanted = each.expected
        if each.source:
            wanted = f"{wanted} ({each.source})" if wanted else each.source
        cells = map(escape, (each.area, each.check, each.found, wanted))
        table.add_row(f"[{colour}]{each.level}[/]", *cells)
    output.print(table)
    for each in found:
        if each.remedy:
            errors.print(f"{each.area}, {each.check}: {each.remedy}", highlight=False, markup=False)
    counts = Counter(each.level for each in found)
    errors.print(", ".join(f"{counts[level]} {level}" for level in LEVELS), highlight=False)
