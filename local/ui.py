"""`make ui`: the Dagster UI and its daemon on the instance that `make run` fills.

Returns 2 if the port is taken, otherwise what Dagster returns; Ctrl-C ends both and returns 0.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from greenlang_vectors.errors import GreenLangError, UsageError
from greenlang_vectors.settings import PROJECT_ROOT, Settings, get_settings
from greenlang_vectors.store.database import open_database
from local.instance import end_abandoned_runs, open_instance, prepare_home

HOST = "127.0.0.1"
PORT = 3000
STOP_SECONDS = 30

DAGSTER_DEV = [
    sys.executable,
    "-W",
    "ignore:Function `dev_command` is superseded",
    "-m",
    "dagster",
    "dev",
]


def serve(port: int) -> int:
    """Serve until Ctrl-C.

    Raises:
        UsageError: the port is taken.
    """
    _check_free(port)
    settings = get_settings()
    open_database(settings).close()
    home = prepare_home(settings)
    with open_instance(home) as instance:
        end_abandoned_runs(instance)
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell told us to ignore them
        signal.signal(number, signal.default_int_handler)
    print(f"The Dagster UI is coming up on http://{HOST}:{port} (Ctrl-C ends it).", flush=True)
    server = subprocess.Popen(  # noqa: S603 - our own arguments
        [*DAGSTER_DEV, "-w", str(PROJECT_ROOT / "workspace.yaml"), "-h", HOST, "-p", str(port)],
        cwd=home,  # elsewhere Dagster warns of the dagster.yaml that it finds and does not use
        env=os.environ | _environment(settings),
        start_new_session=True,
    )
    try:
        return server.wait()
    except KeyboardInterrupt:
        server.send_signal(signal.SIGINT)
        server.wait(STOP_SECONDS)
        return 0


def _environment(settings: Settings) -> dict[str, str]:
    """What the processes of Dagster need beside this one's environment, in another folder."""
    model = Path(settings.embedding_model)
    return {
        "PYTHONPATH": os.pathsep.join(
            [str(PROJECT_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        ),
        "GREENLANG_DATA_DIR": str(settings.data_dir.resolve()),
        "GREENLANG_EMBEDDING_MODEL": str(model.resolve() if model.is_dir() else model),
    }


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UsageError(
                f"Port {port} is taken.", f"Choose another: make ui PORT={port + 1}."
            ) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve with these arguments (the process's own by default)."""
    parser = argparse.ArgumentParser(prog="make ui", description="Serve the Dagster UI.")
    parser.add_argument("--port", type=int, default=PORT)
    options = parser.parse_args(arguments)
    try:
        return serve(options.port)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    except GreenLangError as error:
        print(error, file=sys.stderr)
        return 1
