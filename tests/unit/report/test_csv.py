"""CSV cells: text that no spreadsheet runs, numbers that every program reads back exactly."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.metrics.columns import Column
from rack_sim.report.csv import cell_of, safe_text, summary_cells, write_table

TEXT = st.text("=+-@\t\r\n ,;'\"a1é中🙂")
COLUMNS = (Column("a", "", "one"), Column("b_ms", "ms", "two"))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\n=1"])
def test_formulas_become_text(text: str) -> None:
    assert safe_text(text) == "'" + text
    assert cell_of(text) == "'" + text


def test_carriage_returns_begin_no_row() -> None:
    assert safe_text("a\r=1") == "a =1"
    assert safe_text("\r=1") == "' =1"


@given(TEXT)
def test_no_text_begins_like_a_formula(text: str) -> None:
    cell = safe_text(text)
    assert cell.lstrip()[:1] not in ("=", "+", "-", "@")
    assert cell[:1] != "\t"
    assert "\r" not in cell
    assert cell.removeprefix("'") in (text.replace("\r", " "), text[1:].replace("\r", " "))


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


@given(st.lists(st.tuples(TEXT, TEXT)))
def test_tables_come_back(tmp_path_factory: pytest.TempPathFactory, rows: list) -> None:
    rows = [tuple(map(safe_text, row)) for row in rows]
    path = tmp_path_factory.getbasetemp() / "table.csv"
    write_table(path, COLUMNS, rows)
    with path.open(encoding="utf-8", newline="") as file:
        header, *found = csv.reader(file)
    assert header == ["a", "b_ms"]
    assert [tuple(row) for row in found] == rows


def test_dialect(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", COLUMNS, iter([("1", "2"), ("a,b", 'say "x"')]))
    assert (tmp_path / "t.csv").read_bytes() == b'a,b_ms\n1,2\n"a,b","say ""x"""\n'
