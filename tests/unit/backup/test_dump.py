"""What pg_restore writes is read as it is meant: statements, moved names, rows to the last byte."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenlang_vectors.backup.dump import TAIL_BYTES, Dump, _rows
from greenlang_vectors.backup.programs import Program

FOOTER = b"\\.\n\n\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n\n"

SCRIPT = r"""--
-- PostgreSQL database dump
--

\restrict abc

SET search_path = '';

--
-- Name: a_b; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.a_b (
    id uuid DEFAULT public.a_b_next() NOT NULL,
    v public.vector
)
PARTITION BY LIST (id);

--
-- Name: a_b_c-1; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public."a_b_c-1" (id uuid);

--
-- Name: other; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.other (id uuid);

--
-- Name: a_b; Type: TABLE ATTACH; Schema: public; Owner: -
--

ALTER TABLE ONLY public.a ATTACH PARTITION public.a_b FOR VALUES IN ('b');

--
-- Name: a_b_c-1; Type: TABLE ATTACH; Schema: public; Owner: -
--

ALTER TABLE ONLY public.a_b ATTACH PARTITION public."a_b_c-1" FOR VALUES IN ('c');

--
-- Name: a_b read; Type: POLICY; Schema: public; Owner: -
--

CREATE POLICY read ON public.a_b;

--
-- Name: i; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX i ON public.a_b USING btree (id) WHERE f = 'public.a_bc';

--
-- PostgreSQL database dump complete
--

\unrestrict abc
"""


@pytest.fixture
def dump(tmp_path: Path) -> Dump:
    """A dump of which pg_restore writes the script above."""
    (tmp_path / "script.sql").write_text(SCRIPT)
    program = tmp_path / "pg_restore"
    program.write_text(f"#!/bin/sh\ncat {tmp_path / 'script.sql'}\n")
    program.chmod(0o755)
    return Dump(Program(program, "18.4"), tmp_path / "dump", "x", ["a_b", "a_b_c-1"])


def test_statements_of_the_wanted_tables_are_moved_and_nothing_else(dump: Dump) -> None:
    found = dump.statements()
    assert [each.kind for each in found] == [
        *("TABLE", "TABLE", "TABLE ATTACH", "TABLE ATTACH", "INDEX"),
    ]
    table, leaf, outside, inside, index = (each.text.strip() for each in found)
    assert [each.name for each in found][:2] == ["a_b", "a_b_c-1"]
    assert [each.partitioned for each in found][:2] == ["PARTITION BY LIST (id)", ""]
    assert table.startswith("CREATE TABLE restoring.a_b (")
    assert "DEFAULT public.a_b_next()" in table
    assert "v public.vector" in table
    assert leaf == 'CREATE TABLE restoring."a_b_c-1" (id uuid);'
    assert "ONLY public.a ATTACH PARTITION restoring.a_b " in outside
    assert 'ONLY restoring.a_b ATTACH PARTITION restoring."a_b_c-1" ' in inside
    assert "ON restoring.a_b USING" in index
    assert "'public.a_bc'" in index
    assert [each.attached for each in found] == [None, None, "a_b", None, None]


def in_blocks(data: bytes, chance: random.Random) -> Iterator[bytes]:
    while data:
        size = chance.choice([1, 7, 100, TAIL_BYTES, 3 * TAIL_BYTES])
        yield data[:size]
        data = data[size:]


@pytest.mark.parametrize("length", [0, 1, 50, TAIL_BYTES, 5 * TAIL_BYTES])
def test_rows_end_where_copy_ends_however_the_blocks_fall(length: int) -> None:
    chance = random.Random(length)
    rows = b"".join(b"%d\t\\\\.\\n text\n" % chance.randrange(10**9) for _ in range(length // 20))
    for _ in range(20):
        assert b"".join(_rows(in_blocks(rows + FOOTER, chance))) == rows
