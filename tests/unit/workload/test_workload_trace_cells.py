"""Cells of a CSV are those of Python's reader, also over several lines; columns may be named."""

import csv
import gzip
import io
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.foundation.errors import InputError
from rack_sim.workload import Request, TraceOptions, TraceWorkload
from rack_sim.workload.trace_cells import BadRowError, records, shown, split_cells

S = 10**12
AZURE = [Request(0, 0, 374, 44), Request(1, S, 3, 4)]
ROWS = ("2023-11-16 18:15:46", 374, 44), ("2023-11-16 18:15:47", 3, 4)


def read(path: Path, **options: object) -> list[Request]:
    workload = TraceWorkload(path, TraceOptions(**options))  # type: ignore[arg-type]
    return list(workload.open().arrivals())


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "trace"
    path.write_text(text, encoding="utf-8")
    return path


TEXT = st.text(st.sampled_from('ab", \t;'), max_size=30)


@given(TEXT)
def test_cells_are_those_of_pythons_reader(line: str) -> None:
    try:
        found = split_cells(line)
    except BadRowError:
        # Not closed: whatever closes it makes it whole.
        found = split_cells(line + '"')
        line += '"'
    (wanted,) = csv.reader([line], skipinitialspace='"' in line) if line else [[""]]
    assert found == wanted


@given(st.lists(st.lists(st.text(st.sampled_from('ab", \n'), max_size=8), min_size=2, max_size=4)))
def test_records_over_several_lines_are_those_of_pythons_reader(table: list[list[str]]) -> None:
    """Written by Python's writer; spaces around a cell do not count."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(table)
    numbered = enumerate(text.getvalue().split("\n")[:-1], start=1)
    found = [split_cells(line) for _, line in records(iter(numbered))]
    wanted = list(csv.reader(io.StringIO(text.getvalue()), skipinitialspace=True))
    assert [[c.strip() for c in row] for row in found] == [
        [c.strip() for c in row] for row in wanted
    ]


@pytest.mark.parametrize(
    "header",
    [
        "TIMESTAMP,ContextTokens,GeneratedTokens,{}",
        '"TIMESTAMP","ContextTokens","GeneratedTokens","{}"',
        "TIMESTAMP, ContextTokens , GeneratedTokens,{}",
        'timestamp, "contexttokens", GENERATEDTOKENS,{}',
        '\ufeff"TIMESTAMP",ContextTokens,GeneratedTokens,{}',
    ],
)
def test_a_header_is_read_as_csv_and_other_columns_are_ignored(header: str, tmp_path: Path) -> None:
    for name, cell in (("Model", "a"), ("prompt", '"what, ""he"" said\n\nand more"')):
        rows = "".join(f"{at},{inputs},{outputs},{cell}\n" for at, inputs, outputs in ROWS)
        assert read(written(tmp_path, header.format(name) + "\n" + rows)) == AZURE


def test_columns_stand_in_any_order(tmp_path: Path) -> None:
    rows = "".join(f"{outputs},x,{at},{inputs}\n" for at, inputs, outputs in ROWS)
    text = "GeneratedTokens,note,TIMESTAMP,ContextTokens\n" + rows
    assert read(written(tmp_path, text)) == AZURE


def test_an_exact_name_is_taken_before_one_that_is_alike(tmp_path: Path) -> None:
    text = "arrival_s,Input_Tokens,input_tokens,output_tokens\n0,9,1,2\n"
    assert read(written(tmp_path, text)) == [Request(0, 0, 1, 2)]
    with pytest.raises(InputError, match="not a known trace format"):
        read(written(tmp_path, "arrival_s,Input_Tokens,INPUT_TOKENS,output_tokens\n0,9,1,2\n"))


def test_mooncake_and_qwen_without_hashes(tmp_path: Path) -> None:
    line = '{"timestamp": %d, "input_length": 655, "output_length": 52}\n'
    plain = [Request(0, 0, 655, 52), Request(1, 535 * 10**9, 655, 52)]
    path = written(tmp_path, line % 0 + line % 535)
    assert TraceWorkload(path).validate().format_name == "mooncake"
    assert read(path) == plain
    path = written(tmp_path, line.replace("{", '{"chat_id": 7, ') % 0)
    assert TraceWorkload(path).validate().format_name == "qwen-bailian"
    assert read(path) == [Request(0, 0, 655, 52, session=7)]


def test_a_stray_quote_costs_one_row(tmp_path: Path) -> None:
    rows = [f"{second},1,2,x\n" for second in range(30)]
    rows[7] = '7,1,2,"x\n'
    path = written(tmp_path, "arrival_s,input_tokens,output_tokens,note\n" + "".join(rows))
    with pytest.raises(InputError) as caught:
        read(path)
    (problem,) = caught.value.problems
    assert (problem.line, "a quote is not closed" in problem.message) == (9, True)
    assert len(read(path, skip_bad_rows=True)) == 29


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1, 2]", "is JSON in one array"),
        ('[{"arrival_s": 1, "input_tokens": 1, "output_tokens": 1}]', "an object on each line"),
        ("\n  [\n{}\n]", "is JSON in one array"),
        ('{\n"arrival_s": 1}\n', "each line is an object of its own"),
        ('"arrival_s,input_tokens\n', "a quote is not closed"),
        ("start,prompt\n1,2\n", "found CSV 'start, prompt'"),
        (
            "start,prompt\n1,2\n",
            "workload.columns={arrival_s: start, input_tokens: prompt, output_",
        ),
        ("a;b;c\n1;2;3\n", "found CSV 'a;b;c'"),
        ("x" * 10_000, "…'"),
        ("\x1b[31m,b\n", r"'\x1b[31m, b'"),
    ],
)
def test_what_is_no_trace_is_called_what_it_is(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(written(tmp_path, text))
    assert words in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 1500


OWN = {"arrival_ms": "when", "input_tokens": "in", "output_tokens": "out (tokens)", "session": "u"}
WANTED = [Request(0, 0, 5, 6, session=3), Request(1, 2 * 10**9, 7, 8, session=4)]


@pytest.mark.parametrize("packing", ["csv", "jsonl", "parquet", "gzip"])
def test_columns_that_are_named(packing: str, tmp_path: Path) -> None:
    path = tmp_path / "trace"
    text = 'note,When,u,in,"out (tokens)"\nx,1,3,5,6\ny,3,4,7,8\n'
    if packing == "csv":
        path.write_text(text)
    elif packing == "gzip":
        path.write_bytes(gzip.compress(text.encode()))
    elif packing == "jsonl":
        line = '{"when": %d, "u": %d, "in": %d, "out (tokens)": %d, "note": []}\n'
        path.write_text(line % (1, 3, 5, 6) + line % (3, 4, 7, 8))
    else:
        import pyarrow.parquet as pq

        table = {"when": [1, 3], "u": [3, 4], "in": [5, 7], "out (tokens)": [6, 8], "x": ["a", ""]}
        pq.write_table(pa.table(table), path)
    assert read(path, columns=tuple(OWN.items())) == WANTED


def test_a_date_and_a_time_in_our_own_format(tmp_path: Path) -> None:
    """Of every form that docs/traces.md names; sorted by time, not by text."""
    wanted_ps = [0, 25 * S // 10, 3 * S]
    lines = [
        "2024-05-10T00:00:01Z,1,2",
        "2024-05-10 02:00:03.5+02:00,3,4",
        "2024-05-10 00:00:04,5,6",
    ]
    path = written(tmp_path, "arrival_at,input_tokens,output_tokens\n" + "\n".join(lines))
    assert [request.arrival_ps for request in read(path)] == wanted_ps
    line = '{"arrival_at": "%s", "input_tokens": %s, "output_tokens": %s}\n'
    text = "".join(line % tuple(row.split(",")) for row in lines)
    assert [request.arrival_ps for request in read(written(tmp_path, text))] == [
        0,
        25 * S // 10,
        3 * S,
    ]
    for bad, words in (
        ("1969-12-31T23:59:00Z", "before 1970"),
        ("1e3", "not a date"),
        ("", "not a"),
    ):
        path = written(tmp_path, f"arrival_at,input_tokens,output_tokens\n{bad},1,2\n")
        with pytest.raises(InputError, match=words):
            read(path)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"arrival_s": "a"}, "columns are not all said"),
        (
            {"arrival_s": "a", "input_tokens": "b", "output_tokens": "nope"},
            "no column named 'nope'",
        ),
        ({"arrival_s": "a", "input_tokens": "b", "output_tokens": "b"}, "is to be two things"),
        ({"arrival_s": "a", "arrival_ms": "b", "input_tokens": "c"}, "columns are not all said"),
    ],
)
def test_columns_that_are_named_wrong(columns: dict[str, str], words: str, tmp_path: Path) -> None:
    path = written(tmp_path, "a,b,c\n1,2,3\n")
    with pytest.raises(InputError, match=words):
        read(path, columns=tuple(columns.items()))


def test_names_that_are_none_of_ours() -> None:
    with pytest.raises(InputError, match=r"columns.arrival: is no column of ours \(did you mean"):
        TraceOptions(columns=(("arrival", "a"),))


@pytest.mark.parametrize(
    ("value", "wanted"),
    [("a\x1b", r"'a\x1b'"), (5, "5"), ([1], "a list"), ({"a": 1}, "an object"), (None, "None")],
)
def test_values_are_shown_harmless(value: object, wanted: str) -> None:
    assert shown(value) == wanted
    assert len(shown("x" * 10**6)) < 100
