"""The Dagster instance of one machine: its home in the data directory, its runs in PostgreSQL."""

from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import dagster as dg
import psutil
import psycopg
from dagster._core.instance.ref import InstanceRef
from dagster_postgres.utils import DagsterPostgresException
from sqlalchemy.exc import SQLAlchemyError

from greenlang_vectors.errors import DatabaseUnavailable
from greenlang_vectors.settings import PROJECT_ROOT, Settings
from greenlang_vectors.store import embedded
from greenlang_vectors.store.database import ensure_database
from resources import pools
from resources.run_storage import URL

DATABASE_NAME = "dagster"
DATABASE_ERRORS = (psycopg.Error, SQLAlchemyError, DagsterPostgresException)
"""What the library and Dagster raise when their database is gone."""

PROCESS_TAG = "greenlang/process"
CODE_SERVER_TAG = "dagster/grpc_info"

NO_OUTPUT_CAPTURE = {
    "module": "dagster._core.storage.noop_compute_log_manager",
    "class": "NoOpComputeLogManager",
}
"""`make run` writes to the screen itself; Dagster must not redirect its output into files."""


def prepare_home(settings: Settings) -> Path:
    """Make the Dagster home ready and name it, with its database, in this process's environment.

    Raises:
        DatabaseUnavailable: there is no database for Dagster and none can be made.
    """
    home = settings.data_dir.resolve() / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(PROJECT_ROOT / "dagster.yaml", home / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(home)
    if not os.environ.get(URL):
        os.environ[URL] = _database_url(settings)
    return home


def open_instance(home: Path) -> dg.DagsterInstance:
    """The instance of a home, for runs in this process; it knows every pool."""
    reference = InstanceRef.from_dir(str(home), overrides={"compute_logs": NO_OUTPUT_CAPTURE})
    instance = dg.DagsterInstance.from_ref(reference)
    pools.make_known(instance)
    return instance


def process_tag(process: psutil.Process | None = None) -> str:
    """Names a process (this one by default) among all that ever ran on any machine."""
    process = process or psutil.Process()
    return f"{socket.gethostname()}/{process.pid}/{process.create_time():.2f}"


def end_abandoned_runs(instance: dg.DagsterInstance) -> int:
    """Mark as failed the runs of this machine whose process was killed; return how many.

    Nobody else does while no code server of theirs is up, and a run that seems to go on keeps
    its pool slots and holds up its namespace.
    """
    unfinished = dg.RunsFilter(
        statuses=[
            dg.DagsterRunStatus.NOT_STARTED,
            dg.DagsterRunStatus.STARTING,
            dg.DagsterRunStatus.STARTED,
            dg.DagsterRunStatus.CANCELING,
        ]
    )
    ended = 0
    for run in instance.get_runs(unfinished):
        if _has_died(run):
            instance.report_run_failed(run, "Its process was killed; run the namespace again.")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            ended += 1
    return ended


def _has_died(run: dg.DagsterRun) -> bool:
    """Whether the process of the run, or the code server that started it, is gone."""
    if PROCESS_TAG in run.tags:
        host, number, _ = run.tags[PROCESS_TAG].split("/")
        if host != socket.gethostname():
            return False
        try:
            return process_tag(psutil.Process(int(number))) != run.tags[PROCESS_TAG]
        except psutil.NoSuchProcess:
            return True
    server = json.loads(run.tags.get(CODE_SERVER_TAG, "{}")).get("socket")
    return server is not None and not _answers(server)


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(path)
        except OSError:
            return False
    return True


def _database_url(settings: Settings) -> str:
    if settings.database_url is None:
        url = embedded.owned_database(embedded.start(settings.data_dir), DATABASE_NAME)
    else:
        try:
            url = ensure_database(settings.database_url.get_secret_value(), DATABASE_NAME, settings)
        except psycopg.errors.InsufficientPrivilege as error:
            raise DatabaseUnavailable(
                f"The database {DATABASE_NAME!r} for Dagster's runs cannot be created ({error}).",
                f"Create it, or set {URL} to postgresql+psycopg2://USER:PASSWORD@HOST/DATABASE.",
            ) from error
    return urlunsplit(urlsplit(url)._replace(scheme="postgresql+psycopg2"))
