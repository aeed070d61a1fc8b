"""What is wrong with a trace is told before anything is replayed, with its place."""

import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from rack_sim.foundation.errors import InputError
from rack_sim.workload import TraceOptions, TraceWorkload

AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
AZURE_ROW = "2023-11-16 18:15:46.6805900,374,44\n"
OURS = "arrival_s,input_tokens,output_tokens\n"
MOONCAKE_ROW = '{"timestamp": 1, "input_length": 6, "output_length": 5, "hash_ids": [1]}\n'
BURSTGPT = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"


def failure(path: Path, **options: object) -> InputError:
    workload = TraceWorkload(path, TraceOptions(**options))  # type: ignore[arg-type]
    with pytest.raises(InputError) as caught:
        workload.validate()
    # The same without asking for a validation: nothing is replayed of a bad trace.
    with pytest.raises(InputError) as again:
        workload.open()
    assert str(again.value) == str(caught.value)
    assert workload.request_count is None
    return caught.value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (AZURE + AZURE_ROW + "2023-11-16 18:15:46.68,374\n", "2 columns instead of 3"),
        (AZURE + AZURE_ROW + "2023-11-16 18:15:46.68,374,44,5\n", "4 columns instead of 3"),
        (AZURE + AZURE_ROW + AZURE, "'TIMESTAMP' is not a date and a time"),
        (AZURE + AZURE_ROW + "2023-11-16 18:15:46,3.5,44\n", "ContextTokens is '3.5', not a"),
        (AZURE + AZURE_ROW + "2023-11-16 18:15:46,-3,44\n", "ContextTokens is '-3', not a"),
        (AZURE + AZURE_ROW + "2023-11-16 18:15:46,3,\n", "GeneratedTokens is '', not a whole"),
        (AZURE + AZURE_ROW + "2023-11-16 18:15:46,3,NaN\n", "GeneratedTokens is 'NaN', not a"),
        (AZURE + AZURE_ROW + "2023-11-16 18:15:46,0,4\n", "ContextTokens is 0, not between 1"),
        (AZURE + AZURE_ROW + "2023-11-16 18:15:46,4,0\n", "GeneratedTokens is 0, not between 1"),
        (AZURE + AZURE_ROW + "2023-11-16 18:15:46,4,20000001\n", "not between 1 and 20,000,000"),
        (AZURE + AZURE_ROW + "2023-13-16 18:15:46,4,4\n", "is not a date and a time"),
        (AZURE + AZURE_ROW + "2023-11-16 24:15:46,4,4\n", "is not a date and a time"),
        (AZURE + AZURE_ROW + "2023-11-16 18:15:60,4,4\n", "is not a date and a time"),
        (AZURE + AZURE_ROW + "yesterday,4,4\n", "'yesterday' is not a date and a time"),
        (AZURE + AZURE_ROW + "2023-11-16 18:15:46," + "9" * 5000 + ",4\n", "not a whole number"),
        (OURS + "1,2,3\n-1,2,3\n", "the time '-1' is negative"),
        (OURS + "1,2,3\nnan,2,3\n", "the time 'nan' is not a decimal number"),
        (OURS + "1,2,3\n1,2,3,4\n", "4 columns instead of 3"),
        (OURS + "1,2,3\n1,٣,3\n", "input_tokens is '٣', not a whole number"),
        (BURSTGPT + "1,m,2,3,5,log\n2,m,9,0,9,log\n", "Response tokens is 0, not between 1"),
        (MOONCAKE_ROW + "{\n", "not valid JSON"),
        (MOONCAKE_ROW + "[" * 100_000 + "\n", "not valid JSON"),
        (MOONCAKE_ROW + "[1]\n", "not a JSON object"),
        (MOONCAKE_ROW + '{"timestamp": 1}\n', "no 'input_length'"),
        (MOONCAKE_ROW + MOONCAKE_ROW.replace("6", "6.0"), "input_length is 6.0, not a whole"),
        (MOONCAKE_ROW + MOONCAKE_ROW.replace("6", "true"), "input_length is True, not a whole"),
        (MOONCAKE_ROW + MOONCAKE_ROW.replace("6", "0"), "input_length is 0, not between 1"),
        (MOONCAKE_ROW + MOONCAKE_ROW.replace(": 1", ": NaN"), "NaN is not a number"),
        (MOONCAKE_ROW + MOONCAKE_ROW.replace(": 1", ": -1"), "the time is negative"),
        (MOONCAKE_ROW + MOONCAKE_ROW.replace(": 1", ': "1"'), "the time '1' is not a number"),
        (MOONCAKE_ROW + MOONCAKE_ROW.replace("[1]", "[1.5]"), "hash_ids is not a list of whole"),
        (MOONCAKE_ROW + MOONCAKE_ROW.replace("[1]", "7"), "hash_ids is not a list of whole"),
    ],
)
def test_bad_row(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text(text)
    last = text.splitlines()[-1]
    (problem,) = failure(path).problems
    assert reason in problem.message
    assert problem.place == str(path)
    assert problem.line == len(text.splitlines())
    assert repr(last)[:60].rstrip("'") in problem.message
    assert "allowed: " in problem.message
    assert problem.suggestion == "--skip-bad-rows counts them and goes on"
    # The rest of the file is good.
    workload = TraceWorkload(path, TraceOptions(skip_bad_rows=True))
    check = workload.validate()
    assert (check.request_count, check.skipped_count) == (1, 1)
    assert check.skipped_rows[0][0] == problem.line
    assert reason in check.skipped_rows[0][1]
    assert "1 bad rows left out" in workload.description


def test_row_content_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text(OURS + "1,2," + "7" * 200 + "x\n2,3,4\n")
    (problem,) = failure(path).problems
    assert "1,2," + "7" * 116 + "…" in problem.message


def test_bytes_that_are_no_text_are_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_bytes(OURS.encode() + b"1,2,3\n2,\xff\xfe,3\n")
    (problem,) = failure(path).problems
    assert problem.line == 3


@pytest.mark.parametrize(("bad", "reported", "more"), [(3, 3, 0), (20, 20, 0), (21, 20, 1)])
def test_twenty_bad_rows_are_listed(bad: int, reported: int, more: int, tmp_path: Path) -> None:
    path = tmp_path / "trace"
    # Good rows in between, and a last good one, change nothing.
    path.write_text(OURS + "1,2,3\n" + "1,0,3\n1,2,3\n" * bad + "1,2,3\n")
    problems = failure(path).problems
    assert [problem.line for problem in problems[:reported]] == [3 + 2 * i for i in range(reported)]
    assert len(problems) == reported + more
    assert ("and more" in problems[-1].message) == bool(more)


def test_bad_rows_come_before_a_late_row_behind_them(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text(OURS + "100,2,3\n200,2,0\n300,2,3\n1,2,3\n400,0,3\n")
    assert [problem.line for problem in failure(path).problems] == [3, 6]


def test_skipped_rows_are_counted_and_the_first_thousand_kept(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text(OURS + "x,2,3\n" * 1500 + "1,2,3\n")
    workload = TraceWorkload(path, TraceOptions(skip_bad_rows=True))
    source = workload.open()
    assert source.skipped_count == 0
    assert len(list(source.arrivals())) == 1
    assert source.skipped_count == 1500
    assert [line for line, _ in source.skipped_rows] == list(range(2, 1002))


def test_bad_row_at_the_end_is_told_before_the_first_request(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text(OURS + "".join(f"{second},2,3\n" for second in range(1000)) + "1000,2\n")
    # Also where the options leave that row out.
    for options in ({}, {"first_n": 3}, {"window_end_ps": 10**12}):
        (problem,) = failure(path, **options).problems
        assert problem.line == 1002


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("\n \n", "the file has no rows"),
        (AZURE, "no requests in the file"),
        ("time,prompt\n1,2\n", "not a known trace format; found CSV 'time, prompt'; known are"),
        ('{"time": 1, "prompt": 2}\n', "found JSONL 'time, prompt'"),
        ('{"time": 1,\n', "not valid JSON"),
        ("arrival_s,arrival_ms,input_tokens,output_tokens\n1,1,1,1\n", "give exactly one"),
        ("arrival_s,input_tokens,input_tokens,output_tokens\n1,1,1,1\n", "not a known trace"),
        ("\0\1\2" * 1000, "is neither text in UTF-8 nor Parquet"),
        ("PAR1 but not really", "damaged"),
    ],
)
def test_no_trace(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text(text)
    (problem,) = failure(path).problems
    assert message in problem.message
    assert problem.place == str(path)
    assert len(problem.message) < 1500


def test_unknown_format_names_every_known_one(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text("a,b\n")
    message = str(failure(path))
    for name in ("rack-sim", "azure", "burstgpt", "vidur", "qwen-bailian", "mooncake"):
        assert name in message
    assert "workload.columns={arrival_s: a, input_tokens: b" in message
    assert len(message) - len(str(path)) < 250, "it is read on a terminal"


def test_all_rows_bad_with_skipping(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text(OURS + "x,1,1\n" * 3)
    message = str(failure(path, skip_bad_rows=True))
    assert "all 3 rows are bad, the first is line 2, the time 'x'" in message


def test_missing_file_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "azure_conv.csv").write_text(AZURE + AZURE_ROW)
    (problem,) = failure(tmp_path / "azure_cnv.csv").problems
    assert problem.message == "no such file"
    assert problem.suggestion == "did you mean 'azure_conv.csv'?"
    (problem,) = failure(tmp_path / "nowhere" / "trace.csv").problems
    assert problem.suggestion == "name another with --trace FILE"


def test_directory(tmp_path: Path) -> None:
    assert "is a directory" in str(failure(tmp_path))


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    # A real chmod does not stop a superuser, who often runs the tests in a container.
    monkeypatch.setattr(Path, "open", refuse)
    assert "permission denied" in str(failure(tmp_path / "trace"))


def test_damaged_packing(tmp_path: Path) -> None:
    raw = (OURS + "".join(f"{i},{i % 97 + 1},3\n" for i in range(5000))).encode()
    path = tmp_path / "trace"
    for data in (gzip.compress(raw), bytes(pa.compress(raw, codec="zstd", asbytes=True))):
        path.write_bytes(data[: len(data) // 2])
        assert "damaged" in str(failure(path))
        path.write_bytes(data[: len(data) // 2] + bytes(50) + data[len(data) // 2 + 50 :])
        assert "damaged" in str(failure(path)) or "allowed: " in str(failure(path))


def test_window_without_a_request(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text(OURS + "1,2,3\n")
    assert "no request arrives within the window" in str(failure(path, window_start_ps=5))


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"rate_scale": 0}, "rate_scale"),
        ({"rate_scale": -1.0}, "rate_scale"),
        ({"rate_scale": float("nan")}, "rate_scale"),
        ({"rate_scale": "2"}, "rate_scale"),
        ({"window_start_ps": -1}, "window_start_ps"),
        ({"window_start_ps": 1.5}, "window_start_ps"),
        ({"window_end_ps": 0}, "window_end_ps"),
        ({"window_start_ps": 5, "window_end_ps": 5}, "window_end_ps"),
        ({"first_n": 0}, "first_n"),
        ({"sort_window_ps": -1}, "sort_window_ps"),
        ({"skip_bad_rows": 1}, "skip_bad_rows"),
        ({"spread_bunch_ps": 0}, "spread_bunch_ps"),
        ({"seed": None}, "seed"),
    ],
)
def test_bad_options(options: dict[str, object], field: str) -> None:
    with pytest.raises(InputError) as caught:
        TraceOptions(**options)  # type: ignore[arg-type]
    assert [problem.field for problem in caught.value.problems] == [field]
