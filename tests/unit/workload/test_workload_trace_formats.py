"""Every trace format, read from a small file of it, plain and packed."""

import gzip
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.foundation.errors import InputError
from rack_sim.workload import FORMATS, Request, TraceOptions, TraceWorkload
from rack_sim.workload.trace_formats import BadRowError, decimal_to_ps

MS = 10**9
S = 10**12

AZURE_2023 = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
    "2023-11-16 23:59:59.6805900,374,44\r\n"
    "2023-11-17 00:00:01.0000001,396,109"
)
AZURE_2024 = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    "2024-05-10 00:00:00.009930+00:00,2162,5\n"
    "2024-05-10 00:00:01+00:00,2399,6\n"
    "2024-05-10 02:00:02+02:00,7,8\n"
    "2024-05-10 02:00:02+01:59,9,10\n"
)
BURSTGPT = (
    "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    "5,ChatGPT,472,18,490,Conversation log\n"
    "45.25,GPT-4,1087,230,1317,API log\n"
)
BURSTGPT_NEW = (
    "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    '5.0,12,1.5,"ChatGPT, new",472,18,490,Conversation log\n'
    "45.25,12,2.5,GPT-4,1087,230,1317,API log\n"
)
MOONCAKE = (
    '{"timestamp": 27000, "input_length": 600, "output_length": 9, "hash_ids": [0, 14]}\n'
    '{"timestamp": 30000, "input_length": 700, "output_length": 8, "hash_ids": [0, 15]}\n'
)
QWEN = (
    '{"chat_id": 1, "parent_chat_id": -1, "timestamp": 61.114, "input_length": 20, '
    '"output_length": 3, "type": "text", "turn": 1, "hash_ids": [1, 2]}\n'
    '{"chat_id": 2, "parent_chat_id": 1, "timestamp": 61.2145, "input_length": 30, '
    '"output_length": 4, "type": "text", "turn": 2, "hash_ids": []}\n'
)
VIDUR = (
    "arrived_at,num_prefill_tokens,num_decode_tokens,num_total_tokens,pd_ratio\n"
    "0.1,100,10,110,10.0\n"
    "0.30000000000000004,200,20,220,10.0\n"
)
OURS = "arrival_us,note,output_tokens,input_tokens\n1.5,x,2,3\n4,y,5,6\n"
OURS_JSONL = (
    '{"arrival_s": 17e8, "input_tokens": 3, "output_tokens": 2, "note": "ä"}\n'
    '{"arrival_s": 1700000000.000000000001, "input_tokens": 6, "output_tokens": 5}\n'
)

SAMPLES = {
    "azure 2023": (
        AZURE_2023,
        "azure",
        [Request(0, 0, 374, 44), Request(1, 1_319_410_100_000, 396, 109)],
    ),
    "azure 2024": (
        AZURE_2024,
        "azure",
        [
            Request(0, 0, 2162, 5),
            Request(1, 990_070_000_000, 2399, 6),
            Request(2, 1_990_070_000_000, 7, 8),
            Request(3, 61_990_070_000_000, 9, 10),
        ],
    ),
    "burstgpt": (
        BURSTGPT,
        "burstgpt",
        [Request(0, 0, 472, 18), Request(1, 40_250 * MS, 1087, 230)],
    ),
    "burstgpt, newer": (
        BURSTGPT_NEW,
        "burstgpt",
        [Request(0, 0, 472, 18, session=12), Request(1, 40_250 * MS, 1087, 230, session=12)],
    ),
    "mooncake": (
        MOONCAKE,
        "mooncake",
        [Request(0, 0, 600, 9, (0, 14)), Request(1, 3 * S, 700, 8, (0, 15))],
    ),
    "qwen": (
        QWEN,
        "qwen-bailian",
        [Request(0, 0, 20, 3, (1, 2), 1), Request(1, 100_500_000_000, 30, 4, session=1)],
    ),
    "vidur": (
        VIDUR,
        "vidur",
        # 17 digits: what lies below a picosecond is rounded up.
        [Request(0, 0, 100, 10), Request(1, 200_000_000_001, 200, 20)],
    ),
    "ours": (OURS, "rack-sim", [Request(0, 0, 3, 2), Request(1, 2_500_000, 6, 5)]),
    "ours, jsonl": (OURS_JSONL, "rack-sim", [Request(0, 0, 3, 2), Request(1, 1, 6, 5)]),
}


def read(path: Path, **options: object) -> list[Request]:
    workload = TraceWorkload(path, TraceOptions(**options))  # type: ignore[arg-type]
    return list(workload.open().arrivals())


def packed(text: str, packing: str) -> bytes:
    raw = text.encode()
    if packing == "gzip":
        return gzip.compress(raw)
    if packing == "zstd":
        return bytes(pa.compress(raw, codec="zstd", asbytes=True))
    if packing == "byte order mark":
        return b"\xef\xbb\xbf" + raw
    return raw


@pytest.mark.parametrize("packing", ["plain", "gzip", "zstd", "byte order mark"])
@pytest.mark.parametrize("sample", SAMPLES)
def test_format(sample: str, packing: str, tmp_path: Path) -> None:
    text, name, requests = SAMPLES[sample]
    path = tmp_path / "a name that says nothing"
    path.write_bytes(packed(text, packing))
    workload = TraceWorkload(path)
    check = workload.validate()
    assert check.format_name == name
    assert check.request_count == len(requests)
    assert list(workload.open().arrivals()) == requests


def test_every_format_has_a_sample() -> None:
    assert {name for _, name, _ in SAMPLES.values()} == {known.name for known in FORMATS}


@pytest.mark.parametrize(
    ("unit", "unit_ps"),
    [("s", S), ("ms", MS), ("us", 10**6), ("ns", 1000), ("ps", 1)],
)
@pytest.mark.parametrize("encoding", ["csv", "jsonl", "parquet"])
def test_own_format_in_every_unit_and_encoding(
    unit: str, unit_ps: int, encoding: str, tmp_path: Path
) -> None:
    path = tmp_path / "trace"
    if encoding == "csv":
        path.write_text(f"arrival_{unit},input_tokens,output_tokens\n1,2,3\n8,4,5\n")
    elif encoding == "jsonl":
        line = '{"arrival_%s": %d, "input_tokens": %d, "output_tokens": %d}\n'
        path.write_text(line % (unit, 1, 2, 3) + "\n" + line % (unit, 8, 4, 5))
    else:
        columns = {f"arrival_{unit}": [1, 8], "input_tokens": [2, 4], "output_tokens": [3, 5]}
        pq.write_table(pa.table(columns), path)
    assert read(path) == [Request(0, 0, 2, 3), Request(1, 7 * unit_ps, 4, 5)]


def test_parquet_floats_are_read_as_the_decimal_they_print_as(tmp_path: Path) -> None:
    path = tmp_path / "trace.parquet"
    table = {
        "extra": [None, None],
        "arrival_s": [0.1, 0.3],
        "input_tokens": [1, 2],
        "output_tokens": [3, 4],
    }
    pq.write_table(pa.table(table), path)
    assert [request.arrival_ps for request in read(path)] == [0, 200 * MS]


def test_parquet_over_several_batches(tmp_path: Path) -> None:
    path = tmp_path / "trace.parquet"
    count = 40_000
    table = {"arrival_ms": range(count), "input_tokens": [5] * count, "output_tokens": [7] * count}
    pq.write_table(pa.table({name: list(values) for name, values in table.items()}), path)
    requests = read(path)
    assert len(requests) == count
    assert requests[-1] == Request(count - 1, (count - 1) * MS, 5, 7)


def test_parquet_bad_rows_are_told_by_their_number(tmp_path: Path) -> None:
    path = tmp_path / "trace.parquet"
    table = pa.table(
        {
            "arrival_s": [0.0, None, float("nan"), -1.0, 4.0, 5.0],
            "input_tokens": [1, 1, 1, 1, 0, 1],
            "output_tokens": [1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
        }
    )
    pq.write_table(table.set_column(2, "output_tokens", pa.array([1, 1, 1, 1, 1, None])), path)
    with pytest.raises(InputError) as caught:
        read(path)
    assert [problem.line for problem in caught.value.problems] == [2, 3, 4, 5, 6]
    pq.write_table(table, path)
    with pytest.raises(InputError, match=r"output_tokens is 1\.0, not a whole number"):
        read(path)


def test_blank_lines_are_no_rows_but_count_as_lines(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    text = "\narrival_s,input_tokens,output_tokens\n\n1,2,3\n   \nx,2,3\n2,4,5\n\n\n"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read(path)
    assert [problem.line for problem in caught.value.problems] == [6]
    path.write_text(text.replace("x", "1.5"))
    assert [request.input_tokens for request in read(path)] == [2, 2, 4]


@given(
    st.decimals(min_value=0, max_value=10**12, places=None, allow_nan=False),
    st.sampled_from([0, 3, 6, 9, 12]),
)
def test_decimal_to_ps_is_exact_and_rounds_up(value: Decimal, digits: int) -> None:
    exact = Fraction(value) * 10**digits
    assert 0 <= decimal_to_ps(f"{value:f}"[:400], digits) - exact < 1


@pytest.mark.parametrize(
    ("text", "ps"),
    [
        ("1", S),
        ("1.", S),
        (".5", S // 2),
        (" 2 ", 2 * S),
        ("+3", 3 * S),
        ("1e-12", 1),
        ("1E3", 1000 * S),
        ("-0.0", 0),
        ("0.0000000000001", 1),
        ("1700000000.123456789012", 1700000000123456789012),
    ],
)
def test_decimal_to_ps(text: str, ps: int) -> None:
    assert decimal_to_ps(text, 12) == ps


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "-1",
        "nan",
        "inf",
        "1_0",
        "1/2",
        "0x10",
        "1e999",
        "1e99",
        "1e999999999",
        "9" * 500,
        "٣",
        "1,5",
    ],
)
def test_no_time(text: str) -> None:
    with pytest.raises(BadRowError):
        decimal_to_ps(text, 12)
