"""`greenlang-vectors restore`: a namespace, a collection or everything comes back."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from greenlang_vectors.commands.common import (
    as_json_option,
    bar,
    bars,
    opened,
    output,
    print_json,
)
from greenlang_vectors.errors import UsageError
from greenlang_vectors.settings import Settings, get_settings
from greenlang_vectors.store.database import Database, open_database

if TYPE_CHECKING:
    from greenlang_vectors.backup.restore import RestoreReport
    from greenlang_vectors.lifecycle.location import Location


@click.command("restore")
@click.argument("export_id", metavar="[EXPORT]", required=False)
@click.option("--namespace", help="The newest good export of this namespace.")
@click.option("--all", "everything", is_flag=True, help="The newest good export of each namespace.")
@click.option(
    "--collection",
    metavar="NAMESPACE/MODEL",
    help="This collection alone, out of EXPORT or the newest good export.",
)
@click.option(
    "--into",
    metavar="DATABASE|URL",
    help="Another database: a name on the same server, made if need be, or a libpq URL without a"
    " password (PGPASSWORD or a password file has it).",
)
@click.option("--replace", is_flag=True, help="Drop what is there, once the export is compared.")
@as_json_option
def restore(
    export_id: str | None,
    namespace: str | None,
    everything: bool,
    collection: str | None,
    into: str | None,
    replace: bool,
    as_json: bool,
) -> None:
    """Restore EXPORT, or the newest good export of what is named, and compare all of it.

    What serves is not touched before everything was restored and compared. It is refused where
    something is there, unless --replace says otherwise.
    """
    from greenlang_vectors.backup import restore as restoring  # noqa: PLC0415
    from greenlang_vectors.lifecycle.location import open_location  # noqa: PLC0415

    settings = get_settings()
    location = open_location(settings.backup_location)
    wanted, model = _wanted(location, export_id, namespace, everything, collection)
    reports = []
    with opened(settings) as database, closing(_target(database, settings, into)) as target:
        for each in wanted:
            with bars() as shown:
                report = restoring.restore(
                    target,
                    location,
                    each,
                    settings=settings,
                    model=model,
                    replace=replace,
                    progress=bar(shown, "restore"),
                )
            reports.append(report)
            if not as_json:
                output.print(_said(report), soft_wrap=True)
    if as_json:
        print_json({"restored": [asdict(report) for report in reports]})


def _wanted(
    location: Location,
    export_id: str | None,
    namespace: str | None,
    everything: bool,
    collection: str | None,
) -> tuple[list[str], str | None]:
    """The exports to restore, and the model of the only collection."""
    from greenlang_vectors.backup import exports  # noqa: PLC0415
    from greenlang_vectors.backup.manifest import namespace_of  # noqa: PLC0415

    of, _, model = (collection or "").partition("/")
    if collection is not None and not model:
        raise UsageError(f"{collection!r} is not NAMESPACE/MODEL.", "See `collections list`.")
    named = [export_id is not None, namespace is not None, everything, collection is not None]
    if sum(named) != 1 and not (sum(named) == 2 and export_id and collection):
        raise UsageError(
            "Say what to restore: EXPORT, --namespace, --collection or --all.",
            "Only an EXPORT and a --collection of it go together.",
        )
    if export_id is not None:
        if model and of != namespace_of(export_id):
            raise UsageError(f"{export_id} is not of the namespace {of!r}.")
        return [export_id], model or None
    if everything:
        good = [each for each in exports.list_exports(location) if each.state == "good"]
        newest = {each.namespace: each.id for each in good}
        if not newest:
            raise UsageError(
                "There is no good export in the backup location.",
                "`greenlang-vectors drill` proves those that are there.",
            )
        return list(newest.values()), None
    return [exports.newest(location, namespace or of, good=True).id], model or None


def _target(database: Database, settings: Settings, into: str | None) -> Database:
    from greenlang_vectors.backup.scratch import neighbour  # noqa: PLC0415

    if into is None:
        return database
    if "://" not in into:
        return neighbour(database, settings, into)
    if conninfo_to_dict(into).get("password"):
        raise UsageError(
            "The URL of --into holds a password, which every user of this machine can read there.",
            "Leave it out, and set PGPASSWORD or use a password file.",
        )
    other = {"database_url": SecretStr(into), "database_reader_urls": None}
    return open_database(settings.model_copy(update=other))


def _said(report: RestoreReport) -> str:
    what = report.collection or report.namespace
    said = f"{report.rows} rows of {what} are in {report.database}, compared with {report.export}."
    if report.left_out:
        said += f" {report.left_out} embeddings whose passage has changed since were left out."
    if report.master_keys:
        said += f" To read it, {', '.join(report.master_keys)} must be at hand."
    return said
