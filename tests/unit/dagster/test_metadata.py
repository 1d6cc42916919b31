"""Tables of the UI: no more rows than a person reads, and how many there are beside."""

from __future__ import annotations

import dagster as dg

from assets.metadata import MOST_RECORDS, records_table


def test_a_table_of_very_many_rows_says_how_many_it_leaves_out() -> None:
    rows = [[f"file {number}", "damaged"] for number in range(MOST_RECORDS + 1234)]
    table = records_table(["item", "reason"], rows)
    assert isinstance(table, dg.TableMetadataValue)
    *shown, last = [record.data for record in table.records]
    assert [each["item"] for each in shown] == [row[0] for row in rows[:MOST_RECORDS]]
    assert last == {"item": "and 1,234 more", "reason": ""}


def test_figures_are_as_long_as_a_person_reads() -> None:
    table = records_table(["rows", "recall", "name"], [[12345, 0.963571429, "csrd"]])
    assert isinstance(table, dg.TableMetadataValue)
    assert table.records[0].data == {"rows": "12345", "recall": "0.9636", "name": "csrd"}


def test_a_table_that_fits_is_whole() -> None:
    table = records_table(["item"], [[number] for number in range(MOST_RECORDS)])
    assert isinstance(table, dg.TableMetadataValue)
    assert [record.data["item"] for record in table.records] == [
        str(number) for number in range(MOST_RECORDS)
    ]
