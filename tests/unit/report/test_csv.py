"""CSV cells: text that no spreadsheet runs, numbers that every program reads back exactly."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.metrics.columns import Column
from rack_sim.report.csv import cell_of, safe_text, summary_cells, write_table

COLUMNS = (Column("a", "", "one"), Column("b_ms", "ms", "two"))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_formulas_become_text(text: str) -> None:
    assert safe_text(text) == "'" + text
    assert cell_of(text) == "'" + text


@given(st.text())
def test_no_text_begins_like_a_formula(text: str) -> None:
    cell = safe_text(text)
    assert cell[:1] not in ("=", "+", "-", "@", "\t", "\r")
    assert cell in (text, "'" + text)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_come_back(value: float) -> None:
    assert float(cell_of(value)) == value


@given(st.integers())
def test_whole_numbers_come_back(value: int) -> None:
    assert int(cell_of(value)) == value


def test_cells() -> None:
    assert summary_cells({"a": None, "b": -1, "c": -0.5, "d": "x", "e": "-x"}) == [
        "",
        "-1",
        "-0.5",
        "x",
        "'-x",
    ]


@given(st.lists(st.tuples(st.text(), st.text())))
def test_tables_come_back(tmp_path_factory: pytest.TempPathFactory, rows: list) -> None:
    # A null character is no text, and lone surrogates cannot be written; nothing makes either.
    rows = [
        tuple(cell.encode("utf-8", "ignore").decode().replace("\0", "") for cell in row)
        for row in rows
    ]
    path = tmp_path_factory.getbasetemp() / "table.csv"
    write_table(path, COLUMNS, rows)
    with path.open(encoding="utf-8", newline="") as file:
        header, *found = csv.reader(file)
    assert header == ["a", "b_ms"]
    assert [tuple(row) for row in found] == rows


def test_dialect(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", COLUMNS, iter([("1", "2"), ("a,b", 'say "x"')]))
    assert (tmp_path / "t.csv").read_bytes() == b'a,b_ms\n1,2\n"a,b","say ""x"""\n'
