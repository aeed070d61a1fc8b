"""Tables of measurements: what is read, and what is refused with its line."""

import pytest

from rack_sim.foundation.errors import InputError
from rack_sim.study.measurements import COLUMNS, read_measurements, shipped_table

HEAD = ",".join(COLUMNS)
ROW = "a,nvidia-h100,1,llama-3.1-8b,fp16,128,128,closed,4,no,,400,,A,mine,"


@pytest.fixture
def problems(tmp_path):
    """What is wrong with a table of these lines."""

    def of(*lines):
        path = tmp_path / "table.csv"
        path.write_text("\n".join(lines) + "\n")
        with pytest.raises(InputError) as caught:
            read_measurements(path)
        return [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems]

    return of


def test_the_shipped_table_is_read_whole():
    rows = read_measurements(shipped_table())
    assert len(rows) == 45
    assert {row.grade for row in rows} <= {"A", "A-", "B", "C", "D"}
    assert all(row.measured and row.source for row in rows)


def test_a_missing_and_an_unknown_column_are_named(problems):
    assert problems(HEAD.replace("load", "laod"), ROW) == [
        "1: unknown column 'laod' (did you mean 'load'?)",
        "1: column 'load' is missing (single, closed, offline or server)",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",closed,", ",open,", "2: load: 'open' is not known"),
        (",400,", ",fast,", "2: output_throughput_tok_s: 'fast' is not a number"),
        (",400,", ",nan,", "2: output_throughput_tok_s: 'nan' is not a number above 0"),
        (",400,", ",,", "2: nothing was measured"),
        (",4,", ",,", "2: concurrency: is empty"),
        (",4,", ",2.5,", "2: concurrency: '2.5' is not a whole number"),
        (",A,", ",E,", "2: grade: 'E' is not known"),
        ("h100,1,", "h100,0,", "2: chips: '0' is not a number above 0"),
        (",mine,", "", "2: 14 cells for 16 columns"),
    ],
)
def test_a_bad_cell_is_refused_with_its_line(problems, old, new, message):
    assert any(found.startswith(message) for found in problems(HEAD, ROW.replace(old, new, 1)))


def test_names_are_unique(problems):
    assert problems(HEAD, ROW, ROW) == ["3: id: 'a' stands already in line 2"]


def test_an_empty_table_is_refused(problems):
    assert "has no rows" in problems(HEAD)[0]
