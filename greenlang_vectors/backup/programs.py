"""pg_dump and pg_restore: where they are, whether they are new enough, how they are told whom to
ask. A password reaches them through the environment, never through their arguments."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

from greenlang_vectors.backup.errors import ProgramFailed
from greenlang_vectors.errors import UsageError
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import embedded

BLOCK_BYTES = 2**20

_VERSION = re.compile(r"\(PostgreSQL\) (\d+)(\.\d+)*")


@dataclass(frozen=True, slots=True)
class Program:
    """One of PostgreSQL's client programs.

    Attributes:
        version: as it says itself, such as "18.4".
    """

    path: Path
    version: str

    @property
    def major(self) -> int:
        """Its major version."""
        return int(self.version.partition(".")[0])


def find(name: str, settings: Settings, *, at_least: int) -> Program:
    """The program of this name: of GREENLANG_PG_BIN_DIR, else the first that is new enough of the
    one on PATH and the one that comes with the embedded server.

    Args:
        at_least: the major version that it must have; a server is dumped by its own or a newer one.

    Raises:
        UsageError: there is none, or none is new enough.
    """
    if settings.pg_bin_dir is not None:
        places = [settings.pg_bin_dir / name]
    else:
        on_path = shutil.which(name)
        places = [Path(on_path)] if on_path else []
        places.append(embedded.programs() / name)
    found = [program for place in places if (program := _asked(place)) is not None]
    for program in found:
        if program.major >= at_least:
            return program
    seen = ", ".join(f"{program.path} is {program.version}" for program in found) or "there is none"
    raise UsageError(
        f"{name} of PostgreSQL {at_least} or newer is needed, and {seen}.",
        "Install PostgreSQL's client programs and set GREENLANG_PG_BIN_DIR to their folder.",
    )


def access(conninfo: str) -> tuple[dict[str, str], str]:
    """How a program is told whom to ask: its environment, and what `--dbname` says.

    What libpq reads from the environment goes there; what it does not (keepalives and the like,
    no secret among them) is left for the argument.

    Args:
        conninfo: as libpq understands it, with a password or not.
    """
    options = {option.keyword.decode(): option for option in Conninfo.get_defaults()}
    environment, left = dict(os.environ), {}
    for key, value in conninfo_to_dict(conninfo).items():
        option = options[key]
        if option.envvar is not None:
            environment[option.envvar.decode()] = str(value)
        elif option.dispchar != b"*":
            left[key] = str(value)
    return environment, make_conninfo("", **left)


@contextmanager
def output(
    program: Program, arguments: Sequence[str], conninfo: str | None = None
) -> Iterator[Iterator[bytes]]:
    """What a program writes, block by block; it does not outlive the body.

    Args:
        conninfo: the database it asks, as libpq understands it.

    Raises:
        ProgramFailed: from the iterator, when all has come and the program says it failed.
    """
    environment, left = (None, "") if conninfo is None else access(conninfo)
    command = [str(program.path), *arguments, *([f"--dbname={left}"] if left else [])]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603 - a program of the settings
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            pipesize=BLOCK_BYTES,
        )
        with process:
            try:
                yield _blocks(program, process, said)
            finally:
                process.kill()


def _blocks(program: Program, process: subprocess.Popen[bytes], said: IO[bytes]) -> Iterator[bytes]:
    written = cast("IO[bytes]", process.stdout)
    while block := written.read(BLOCK_BYTES):
        yield block
    if process.wait() != 0:
        said.seek(0)
        lines = said.read().decode(errors="replace").splitlines()
        reason = next((line for line in lines if "error: " in line), f"code {process.returncode}")
        raise ProgramFailed(program.path.name, reason.rpartition("error: ")[2])


def _asked(path: Path) -> Program | None:
    try:
        said = subprocess.run(  # noqa: S603 - a program of the settings
            [path, "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    match = _VERSION.search(said)
    return match and Program(path, match[0].removeprefix("(PostgreSQL) "))
