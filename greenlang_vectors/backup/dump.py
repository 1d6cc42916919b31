"""A dump as a restore reads it: its statements, and the rows of each table.

pg_restore turns a dump in custom format into SQL text. Here the tables that are to be restored are
moved to the schema `restoring` in that text: the same tables, of the same names, may serve in
`public` meanwhile. Names are those pg_dump wrote for them, and exactly those are moved.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from greenlang_vectors.backup.errors import ExportDamaged, ProgramFailed
from greenlang_vectors.backup.programs import Program, output

SCHEMA = "restoring"

TAIL_BYTES = 8192
"""More than what follows the rows of a table in pg_restore's text."""

NOT_RESTORED = {"POLICY", "ROW SECURITY", "INDEX ATTACH", "ACL", "DEFAULT ACL"}
"""What `secure_namespace` makes anew, as the roles of the server are, and what PostgreSQL does
itself when a table is attached."""

_ENTRY = re.compile(
    r"^--\n-- Name: (?P<name>.*); Type: (?P<kind>[^;]+); Schema: .*; Owner: .*\n--\n", re.M
)
_ATTACHED = re.compile(rf'TABLE ONLY public\.\S+ ATTACH PARTITION {SCHEMA}\."?([^"\s]+)"? ')
_PARTITIONED = re.compile(r"^PARTITION BY .*(?=;$)", re.M)
_END = "\n--\n-- PostgreSQL database dump complete\n"
_COPY = re.compile(rb"^(COPY .*) FROM stdin;\n", re.M)
_END_OF_ROWS = b"\n\\.\n"


@dataclass(frozen=True, slots=True)
class Statement:
    """An entry of the dump as SQL.

    Attributes:
        kind: as pg_dump calls it: "TABLE", "INDEX", "CONSTRAINT", "TRIGGER", …
        name: of what it makes; that of the table comes first where it is of one.
    """

    kind: str
    name: str
    text: str

    @property
    def partitioned(self) -> str:
        """How the table is partitioned that it makes; empty where it is not."""
        match = _PARTITIONED.search(self.text)
        return match[0] if match else ""

    @property
    def attached(self) -> str | None:
        """The restored table that it attaches to one that is not restored; None for none."""
        match = _ATTACHED.search(self.text) if self.kind == "TABLE ATTACH" else None
        return match and match[1]


class Dump:
    """The dump of an export, and which of its tables are to be restored."""

    def __init__(
        self, program: Program, path: Path, export_id: str, tables: Collection[str]
    ) -> None:
        self._program, self._path, self._export = program, path, export_id
        names = "|".join(
            f'"{each}"|{each}' for each in sorted(map(re.escape, tables), key=len, reverse=True)
        )
        self._named = re.compile(rf'(?<![\w$".])public\.({names})(?![\w$"])')

    def statements(self) -> list[Statement]:
        """What makes the tables and all that belongs to them, in the dump's order.

        Raises:
            ExportDamaged: pg_restore cannot read it.
        """
        arguments = ["--section=pre-data", "--section=post-data", "--no-owner", "--no-privileges"]
        with self._read(*arguments) as blocks:
            script = b"".join(blocks).decode().partition(_END)[0]
        entries = list(_ENTRY.finditer(script))
        stops = [*(entry.start() for entry in entries[1:]), len(script)]
        found = []
        for entry, stop in zip(entries, stops, strict=True):
            text, moved = self._named.subn(self._moved, script[entry.end() : stop])
            if moved and entry["kind"] not in NOT_RESTORED:
                found.append(Statement(entry["kind"], entry["name"], text))
        return found

    @contextmanager
    def rows(self, table: str) -> Iterator[tuple[str, Iterator[bytes]]]:
        """A COPY statement, and what it reads.

        Raises:
            ExportDamaged: pg_restore cannot read it, or finds no rows there.
        """
        with self._read("--data-only", "--schema=public", f"--table={table}") as blocks:
            read = b""
            for block in blocks:
                read += block
                if (match := _COPY.search(read)) is not None:
                    break
            else:
                raise ExportDamaged(self._export, f"its dump has no rows of {table}")
            copy = self._named.sub(self._moved, match[1].decode())
            yield f"{copy} FROM STDIN", _rows(chain([read[match.end() :]], blocks))

    @contextmanager
    def _read(self, *arguments: str) -> Iterator[Iterator[bytes]]:
        command = [*arguments, "--file=-", str(self._path)]
        try:
            with output(self._program, command) as blocks:
                yield blocks
        except ProgramFailed as error:
            raise ExportDamaged(
                self._export, f"pg_restore cannot read its dump ({error.reason})"
            ) from error

    @staticmethod
    def _moved(match: re.Match[str]) -> str:
        return f"{SCHEMA}.{match[1]}"


def _rows(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The blocks up to the line that ends COPY's input; what follows it is short."""
    held = b""
    for block in blocks:
        if len(block) > TAIL_BYTES:
            yield held
            held = block
        else:
            held += block
    yield held[: (b"\n" + held).rfind(_END_OF_ROWS)]
