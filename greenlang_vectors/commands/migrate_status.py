"""`greenlang-vectors migrate status`, `traffic` and `rollback`: how far, and a step on or back."""

from __future__ import annotations

import sys

import click

from greenlang_vectors.commands.common import (
    as_json_option,
    bar,
    bars,
    errors,
    opened,
    print_json,
)
from greenlang_vectors.settings import get_settings
from greenlang_vectors.store import weaviate_migrations


@click.command()
@click.argument("namespace", required=False)
@as_json_option
def status(namespace: str | None, as_json: bool) -> None:
    """Show how far the move of NAMESPACE is, or every move.

    Ends with code 1 where a gate is breached while callers read from pgvector.
    """
    from greenlang_vectors.commands import migrate_tables as tables  # noqa: PLC0415
    from greenlang_vectors.migration.overview import overview  # noqa: PLC0415

    with opened(get_settings()) as database, database.connection() as connection:
        names = (
            [namespace]
            if namespace is not None
            else [state.namespace for state in weaviate_migrations.list_all(connection)]
        )
        seen = [overview(connection, name) for name in names]
    if as_json:
        print_json({"migrations": [each.as_json() for each in seen]})
    for each in () if as_json else seen:
        tables.show_overview(each)
    if not seen:
        errors.print("No move from Weaviate is planned.")
    if any(each.breached for each in seen):
        sys.exit(1)


@click.command()
@click.argument("namespace")
@click.argument("share", type=int, metavar="0|10|50|100")
@as_json_option
def traffic(namespace: str, share: int, as_json: bool) -> None:
    """Let pgvector answer this share (percent) of the callers of NAMESPACE.

    Upwards a step at a time, each when the gates have held; downwards at once.
    """
    from greenlang_vectors.migration.traffic import set_share  # noqa: PLC0415

    with opened(get_settings()) as database, database.connect() as connection:
        state = set_share(connection, namespace, share)
    if as_json:
        print_json({"namespace": namespace, "phase": state.phase, "share": state.share})
    else:
        errors.print(f"pgvector answers {state.share}% of the callers of {namespace}.")


@click.command()
@click.argument("namespace")
@click.option("--remove", is_flag=True, help="Remove what came from Weaviate, too.")
@click.option("--discard", is_flag=True, help="Even if documents wait to be carried to Weaviate.")
@as_json_option
def rollback(namespace: str, remove: bool, discard: bool, as_json: bool) -> None:
    """Go one step back: to the share before, or out of the phases that write to both sides.

    What came from Weaviate stays unless --remove is given, which is for the last step back.
    """
    from greenlang_vectors.migration import phases  # noqa: PLC0415
    from greenlang_vectors.migration.callers import step_down  # noqa: PLC0415
    from greenlang_vectors.migration.traffic import set_share  # noqa: PLC0415

    with opened(get_settings()) as database, database.connect() as connection:
        state = weaviate_migrations.get(connection, namespace)
        discarded = removed = 0
        if state.phase == "shifting" and state.share and not remove:
            state = set_share(connection, namespace, step_down(state.share))
        else:
            with bars() as shown:
                undone = phases.rollback(
                    database,
                    namespace,
                    remove=remove,
                    discard=discard,
                    progress=bar(shown, "remove"),
                )
            state, discarded, removed = undone.state, undone.discarded, undone.removed
    if as_json:
        print_json(
            {
                "namespace": namespace,
                "phase": state.phase,
                "share": state.share,
                "discarded": discarded,
                "removed": removed,
            }
        )
        return
    errors.print(
        f"{namespace} is in phase {state.phase}; pgvector answers {state.share}% of its callers."
    )
    if discarded or removed:
        errors.print(f"{discarded} documents will not reach Weaviate; {removed} were removed.")
