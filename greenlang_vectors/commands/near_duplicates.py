"""`greenlang-vectors near-duplicates`: documents that say nearly the same."""

from __future__ import annotations

from dataclasses import asdict

import click
from rich.table import Table

from greenlang_vectors.commands.common import (
    as_json_option,
    bar,
    bars,
    errors,
    opened,
    output,
    print_json,
)
from greenlang_vectors.settings import get_settings


@click.command("near-duplicates")
@click.argument("namespace")
@click.option(
    "--threshold",
    type=click.FloatRange(0.5, 1.0),
    default=0.8,
    show_default=True,
    help="The least share of runs of four words in common.",
)
@as_json_option
def near_duplicates_command(namespace: str, threshold: float, as_json: bool) -> None:
    """Show which documents of NAMESPACE say nearly what another says; nothing is changed."""
    from greenlang_vectors.quality.near_duplicates import near_duplicates  # noqa: PLC0415

    with opened(get_settings()) as database, bars() as shown:
        found = near_duplicates(
            database, namespace, threshold=threshold, progress=bar(shown, namespace)
        )
    if as_json:
        print_json({"near_duplicates": [asdict(copy) for copy in found]})
        return
    if not found:
        errors.print(f"No two documents of {namespace} are that much alike.")
        return
    table = Table("document", "says nearly what", "likeness")
    for copy in found:
        table.add_row(copy.document, copy.of, "equal" if copy.same else f"{copy.likeness:.2f}")
    output.print(table)
