"""Traces on the command line: bad rows are refused or counted and listed, never dropped."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

Cli = Callable[..., tuple[int, str, str]]
HEADER = "arrival_s,input_tokens,output_tokens\n"
RUN = ("run", "small.yaml", "--no-figures", "--no-html", "--no-workbook")


@pytest.mark.parametrize(
    ("rows", "line", "words"),
    [
        ("0,10,5\n1,x,5\n", 3, "input_tokens is 'x', not a whole number; the row is '1,x,5'"),
        ("0,0,5\n", 2, "input_tokens is 0, not between 1 and"),
        ("0,10,5\n0.5,10,0\n", 3, "output_tokens is 0, not between 1 and"),
        ("0,10\n", 2, "2 columns instead of 3; the row is '0,10'"),
        ("nan,10,5\n", 2, "the time 'nan' is not a decimal number"),
        ("-1,10,5\n", 2, "the time '-1' is negative"),
        ("0,1.5,5\n", 2, "input_tokens is '1.5', not a whole number"),
    ],
)
def test_malformed_rows(cli: Cli, small: Path, rows: str, line: int, words: str) -> None:
    Path("t.csv").write_text(HEADER + rows)
    for command in (RUN, ("explain", "small.yaml", "--set", "workload={kind: trace, path: t.csv}")):
        trace = ("--trace", "t.csv") if command is RUN else ()
        code, out, err = cli(*command, *trace)
        assert (code, out) == (2, "")
        assert f"t.csv:{line}: {words}" in err
        assert "allowed: arrival_s" in err
        assert "(--skip-bad-rows counts them and goes on)" in err
        assert "Traceback" not in err
        assert {path.name for path in Path().iterdir()} == {"small.yaml", "t.csv"}


def test_bad_rows_are_skipped_counted_and_listed(cli: Cli, small: Path) -> None:
    Path("t.csv").write_text(HEADER + "0,10,5\n1,x,5\n2,20,6\n3,20,0\n")
    code, _, err = cli(*RUN, "--trace", "t.csv", "--skip-bad-rows", "--out", "out")
    assert code == 0
    assert "2 malformed rows were skipped; manifest.json lists them" in err
    found = json.loads(Path("out/manifest.json").read_text())["trace"]
    assert found["request_count"] == 2
    assert found["skipped_row_count"] == 2
    assert [row["line"] for row in found["skipped_rows"]] == [3, 5]
    assert found["skipped_rows"][0]["reason"] == "input_tokens is 'x', not a whole number"
    assert len(pd.read_csv("out/requests.csv")) == 2
    code, _, err = cli(*RUN, "--trace", "t.csv", "--skip-bad-rows", "-q", "--out", "quiet")
    assert (code, err) == (0, "")


def test_skip_bad_rows_needs_a_trace(cli: Cli, small: Path) -> None:
    code, _, err = cli(*RUN, "--skip-bad-rows")
    assert (code, err) == (2, "error: --skip-bad-rows: there is no trace (--trace FILE)\n")


def test_rows_out_of_order(cli: Cli, small: Path) -> None:
    Path("t.csv").write_text(HEADER + "0,10,5\n5,11,5\n3,12,5\n")
    assert cli(*RUN, "-q", "--trace", "t.csv", "--out", "out")[0] == 0
    frame = pd.read_csv("out/requests.csv")
    assert frame["arrival_ms"].tolist() == [0, 3000, 5000]
    assert frame["input_tokens"].tolist() == [10, 12, 11]
    Path("t.csv").write_text(HEADER + "0,10,5\n50,11,5\n3,12,5\n")
    code, _, err = cli(*RUN, "--trace", "t.csv", "--out", "late")
    assert code == 2
    assert "t.csv:4: arrives 47.00 s before line 3, which stands above it" in err
    assert "(sort the file by time, or raise sort_window_ps)" in err
    assert not Path("late").exists()


def test_traces_that_are_none(cli: Cli, small: Path) -> None:
    Path("empty.csv").write_text("")
    Path("other.csv").write_text("when,what\n1,2\n")
    Path("header.csv").write_text(HEADER)
    for name, words in [
        ("nope.csv", "nope.csv: no such file"),
        ("empty.csv", "empty.csv: the file is empty"),
        ("other.csv", "other.csv:1: not a known trace format; found CSV 'when, what'; known are"),
        ("header.csv", "header.csv: no requests in the file"),
        (".", "is a directory, not a trace file"),
    ]:
        for command in ((*RUN, "--trace", name), ("trace", "summary", name)):
            code, out, err = cli(*command)
            assert (code, out) == (2, ""), name
            assert words in err
            assert "Traceback" not in err


def test_trace_summary(cli: Cli, own_trace: Path) -> None:
    code, out, err = cli("trace", "summary", "own.csv")
    assert (code, err) == (0, "")
    assert out.startswith("own.csv (rack-sim format)")
    code, out, err = cli("trace", "summary", "own.csv", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["format"] == "rack-sim"
    assert found["request_count"] == 5
    assert found["duration_s"] == 2
    frame = pd.read_csv(own_trace)
    for column in ("input_tokens", "output_tokens"):
        for key, value in found.items():
            if key.startswith(column) and key.endswith("_mean"):
                assert value == pytest.approx(frame[column].mean())
    assert str(frame["input_tokens"].median()).rstrip("0").rstrip(".") in out


def test_trace_summary_of_bad_rows(cli: Cli, small: Path) -> None:
    Path("t.csv").write_text(HEADER + "0,10,5\n1,x,5\n")
    assert cli("trace", "summary", "t.csv")[0] == 2
    code, out, err = cli("trace", "summary", "t.csv", "--skip-bad-rows")
    assert code == 0
    assert out.startswith("t.csv (rack-sim format)")
    assert err == (
        "1 malformed rows were skipped\n  t.csv:3: input_tokens is 'x', not a whole number\n"
    )


def test_the_summary_shows_labels(cli: Cli, small: Path) -> None:
    rows = [
        {"arrival_s": n, "input_tokens": 40, "output_tokens": 2, "session": n % 2, "priority": n,
         "block_hashes": [1, 2, 3 + n]}
        for n in range(4)
    ]  # fmt: skip
    Path("t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    code, out, _ = cli("trace", "summary", "t.jsonl")
    assert code == 0
    for words in ("sessions", "input in prefixes seen before", "60.0", "priority 3", "25.0"):
        assert words in out
    code, out, _ = cli("trace", "summary", "t.jsonl", "--json")
    found = json.loads(out)
    assert (code, found["session_count"], found["block_tokens"]) == (0, 2, 16)
    assert found["prefix_reuse_share"] == 3 * 32 / 160
    assert found["priority_share_3"] == 0.25
