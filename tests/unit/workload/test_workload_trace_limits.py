"""What a trace may take is checked before it is taken, and a limit that is passed is named."""

import gzip
import os
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rack_sim.foundation.errors import InputError
from rack_sim.foundation.work_limits import VARIABLE
from rack_sim.workload import TraceOptions, TraceWorkload

OURS = b"arrival_s,input_tokens,output_tokens\n"
MB = 10**6


def refused(path: Path, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        TraceWorkload(path, TraceOptions(**options)).validate()  # type: ignore[arg-type]
    message = str(caught.value)
    assert len(message) < 5000
    return message


def packed(raw: bytes, packing: str) -> bytes:
    if packing == "gzip":
        return gzip.compress(raw)
    return bytes(pa.compress(raw, codec="zstd", asbytes=True)) if packing == "zstd" else raw


@pytest.mark.parametrize("packing", ["plain", "gzip", "zstd"])
@pytest.mark.parametrize("header", [b"", OURS])
def test_a_line_without_an_end(
    header: bytes, packing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused where the limit is passed: the rest is not read."""
    monkeypatch.setenv(VARIABLE, "line_bytes=1e6")
    path = tmp_path / "trace"
    path.write_bytes(packed(header + b"7" * 30 * MB, packing))
    tracemalloc.start()
    message = refused(path)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert f"trace:{2 if header else 1}: a line without an end" in message
    assert "RACK_SIM_LIMITS=line_bytes=" in message
    # The line so far as bytes, as text, and once more while it grows.
    assert peak_bytes < 10 * MB


@pytest.mark.parametrize("content", [b"\n", b"1,2,3\n", b"\0"])
@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_a_small_file_that_unpacks_without_an_end(
    content: bytes, packing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "unpacking_ratio=100,line_bytes=1e9")
    monkeypatch.setattr("rack_sim.workload.trace_file.RATIO_FROM_BYTES", MB)
    path = tmp_path / "trace"
    path.write_bytes(packed(OURS + content * (8 * MB // len(content)), packing))
    assert "unpacked bytes for a byte of the file" in refused(path)


def test_the_same_file_where_it_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trace"
    path.write_bytes(gzip.compress(OURS + b"1,2,3\n" * 10_000))
    assert TraceWorkload(path).validate().request_count == 10_000
    monkeypatch.setenv(VARIABLE, "unpacked_bytes=50000")
    assert "bytes, more than the limit of 50,000" in refused(path)
    monkeypatch.setenv(VARIABLE, "trace_rows=9999")
    assert "rows of the file: 10,000 rows, more than the limit of 9,999" in refused(path)
    monkeypatch.setenv(VARIABLE, "trace_rows=10000")
    assert TraceWorkload(path).validate().request_count == 10_000


def test_rows_that_must_be_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one time all rows wait for what may come before them; sorted files need not."""
    monkeypatch.setenv(VARIABLE, "held_rows=100")
    path = tmp_path / "trace"
    path.write_bytes(OURS + b"1,2,3\n" * 101)
    assert "sort_window_ps=0" in refused(path)
    assert TraceWorkload(path, TraceOptions(sort_window_ps=0)).validate().request_count == 101
    path.write_bytes(OURS + b"".join(b"%d,2,3\n" % second for second in range(1000)))
    assert TraceWorkload(path).validate().request_count == 1000


def test_numbers_of_many_digits(tmp_path: Path) -> None:
    """In any place, in time that grows no faster than they do."""
    digits = "9" * 10**6
    path = tmp_path / "trace"
    for row in (f"{digits}x,1,2", f"1,{digits}x,2", f"1,1,{digits}", f"1.{digits}x,1,1"):
        path.write_text(f"{OURS.decode()}{row}\n")
        assert "…" in refused(path)
    line = '{"arrival_s": %s, "input_tokens": %s, "output_tokens": 1, "block_hashes": %s}\n'
    for values in (
        (digits, 1, []),
        (1, digits, []),
        (f"1e{digits}", 1, []),
        (f"1.{digits}", 1, []),
        (1, 1, f"[{digits}]"),
        (1, 1, "[" * 10**5),
    ):
        path.write_text(line % values)
        assert len(refused(path)) < 2000


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["x" * MB] * 1000).dictionary_encode(),
        pa.array(["7"] * 1000),
        pa.array([[["a"]]] * 1000),
        pa.array([{"a": 1}] * 1000),
    ],
    ids=["a billion letters", "words", "lists of lists", "mappings"],
)
def test_a_parquet_column_of_no_numbers_is_not_unpacked(column: pa.Array, tmp_path: Path) -> None:
    """A file of some kB, whose cells would be a gigabyte."""
    path = tmp_path / "trace"
    rows = {"arrival_s": [1] * 1000, "input_tokens": column, "output_tokens": [1] * 1000}
    pq.write_table(pa.table(rows), path)
    del rows
    before = pa.total_allocated_bytes()
    assert "column 'input_tokens' holds" in refused(path)
    assert pa.total_allocated_bytes() - before < 10 * MB


def test_what_a_parquet_file_says_of_its_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "trace"
    hashes = pa.array([[7] * 5000] * 100)
    rows = {"arrival_s": range(100), "input_tokens": [9] * 100, "output_tokens": [1] * 100}
    table = pa.table({name: list(values) for name, values in rows.items()})
    pq.write_table(table.append_column("block_hashes", hashes), path)
    assert TraceWorkload(path).validate().request_count == 100
    for limits, words in (
        ("trace_rows=99", "rows of the file"),
        ("group_values=499999", "numbers of a row group"),
        ("unpacked_bytes=1000", "what it unpacks to"),
        ("prompt_tokens=4999", "hashes of one row"),
    ):
        monkeypatch.setenv(VARIABLE, limits)
        assert words in refused(path)


def test_damaged_statistics_end_in_an_error() -> None:
    """Found by mutating files: pyarrow ended the process where it was asked for them."""
    assert "damaged" in refused(Path(__file__).with_name("damaged_statistics.parquet"))


def test_a_file_that_is_read_once_only(tmp_path: Path) -> None:
    """A pipe would be empty at the second reading, and opening it waits for a writer."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "is no regular file" in refused(pipe)
    assert "is no regular file" in refused(Path("/dev/zero"))
    assert "the character NUL" in refused(Path("a\0b"))
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert "symbolic links" in refused(loop)
    assert "cannot be read" in refused(tmp_path / ("n" * 1000))
