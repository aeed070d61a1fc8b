"""CSV cells: text that no spreadsheet runs, numbers that every program reads back exactly."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rack_sim
from rack_sim.metrics.columns import Column
from rack_sim.record.csv import cell_of, plain_text, safe_text, write_table
from rack_sim.report.views import Wanted, leave

TEXT = st.text("=+-@\t\r\n ,;'\"a1é中🙂")
COLUMNS = (Column("a", "", "words", "one"), Column("b_ms", "ms", "number", "two"))


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
    assert [
        cell_of(value) for value in {"a": None, "b": -1, "c": -0.5, "d": "x", "e": "-x"}.values()
    ] == [
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


@pytest.mark.parametrize("text", ["=1+1", "+a", "-b", "@SUM(A1)", "\t=1", " =1", "\n@x", "-inf"])
def test_tables_hold_no_formula_whoever_made_the_row(tmp_path: Path, text: str) -> None:
    """A name that a writer forgot to make safe; numbers and what is safe stay as they are."""
    write_table(tmp_path / "t.csv", COLUMNS, [(text, "-1.5"), (safe_text(text), "+2e-3")])
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    assert rows == [["'" + text, "-1.5"], ["'" + text, "+2e-3"]]


@given(TEXT.filter(lambda text: "\r" not in text))
def test_safe_text_is_undone(text: str) -> None:
    """But for an apostrophe that stood before such a sign from the start."""
    plain = plain_text(safe_text(text))
    assert plain == text or (text[:1] == "'" and plain == text[1:])


def test_a_hostile_name_is_text_in_every_file(tmp_path: Path) -> None:
    """Names that users give: of the system, the model, a memory tier, a machine, a router."""
    changes = [
        "system=groq-node-8",
        "system.name='=sys'",
        "system.chip.memory=[{name: '@tier', capacity_mib: 220, bandwidth_tibytes_per_s: 55}]",
        "model.name='-model'",
        "model.num_hidden_layers=1",
        "partition.stages=1",
        "workload.request_count=20",
    ]
    result = rack_sim.simulate(rack_sim.load("llama70b", changes))
    leave(result, tmp_path, wall_s=0, wanted=Wanted(figures=False, workbook=False))
    found = set()
    for path in tmp_path.glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.reader(file):
                for cell in row:
                    found.add(cell)
                    if cell[:1] in ("=", "+", "-", "@", "\t"):
                        float(cell)
    assert found >= {"'=sys", "'@tier", "'-model"}


def test_dialect(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", COLUMNS, iter([("1", "2"), ("a,b", 'say "x"')]))
    assert (tmp_path / "t.csv").read_bytes() == b'a,b_ms\n1,2\n"a,b","say ""x"""\n'
