"""`greenlang-vectors drill`: exports are proven by restoring them into a scratch database."""

from __future__ import annotations

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
from greenlang_vectors.errors import GreenLangError, UsageError
from greenlang_vectors.settings import get_settings


@click.command("drill")
@click.argument("names", nargs=-1, metavar="[NAMESPACE]...")
@click.option("--export", "export_id", help="This export, and not the newest.")
@as_json_option
def drill(names: tuple[str, ...], export_id: str | None, as_json: bool) -> None:
    """Restore the newest export of each NAMESPACE, or of all that have one, and compare it.

    A scratch database is made and dropped; what is found is kept with the export. Code 1 where an
    export does not pass.
    """
    from greenlang_vectors.backup import drill as drills  # noqa: PLC0415
    from greenlang_vectors.backup import exports  # noqa: PLC0415
    from greenlang_vectors.lifecycle.location import open_location  # noqa: PLC0415

    if names and export_id is not None:
        raise UsageError("An export is of one namespace.", "Name it, or namespaces, not both.")
    settings = get_settings()
    location = open_location(settings.backup_location)
    if export_id is not None:
        wanted = [export_id]
    else:
        known = exports.list_exports(location)
        chosen = names or tuple(dict.fromkeys(e.namespace for e in known if e.manifest is not None))
        wanted = [exports.newest(location, name, good=False).id for name in chosen]
    if not wanted:
        errors.print("There is no export to prove.")
    held = []
    with opened(settings) as database, bars() as shown:
        for name in wanted:
            found = drills.drill(
                database, location, name, settings=settings, progress=bar(shown, "drill")
            )
            held.append(found)
    if as_json:
        print_json({"drills": [each.model_dump(mode="json") for each in held]})
    elif held:
        table = Table("export", "passed", "rows", "restored in", "recall@10", "problem")
        for each in held:
            recalls = (f"{recall.recall_at_10:.4f}" for recall in each.recalls)
            table.add_row(
                each.export,
                "yes" if each.passed else "no",
                str(each.rows),
                "" if each.restore_seconds is None else f"{each.restore_seconds:.1f} s",
                ", ".join(recalls),
                each.problem or "",
            )
        output.print(table)
    if failed := [each.export for each in held if not each.passed]:
        raise GreenLangError(
            f"{', '.join(failed)} did not pass.",
            "Older good exports stay; make a new one with `greenlang-vectors backup create`.",
        )
