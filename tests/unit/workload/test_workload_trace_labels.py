"""Sessions, priorities and block hashes of traces; where a file has none, the defaults."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.foundation.errors import InputError
from rack_sim.workload import Request, TraceOptions, TraceWorkload
from rack_sim.workload.trace_labels import ChatChains

Rows = list[dict[str, object]]


def read(path: Path, text: str = "", **options: object) -> list[Request]:
    if text:
        path.write_text(text)
    return list(TraceWorkload(path, TraceOptions(**options)).open().arrivals())  # type: ignore[arg-type]


def labels(requests: list[Request]) -> list[tuple[object, ...]]:
    return [(r.block_hashes, r.session, r.priority) for r in requests]


def ours(**columns: list[object]) -> Rows:
    """Rows of our own format."""
    count = len(next(iter(columns.values())))
    base = {"arrival_s": 1, "input_tokens": 5, "output_tokens": 6}
    return [base | {name: values[n] for name, values in columns.items()} for n in range(count)]


def written(tmp_path: Path, encoding: str, rows: Rows) -> Path:
    path = tmp_path / "trace"
    if encoding == "csv":
        lines = [",".join("" if v is None else str(v) for v in row.values()) for row in rows]
        path.write_text("\n".join([",".join(rows[0]), *lines]) + "\n")
    elif encoding == "jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        pq.write_table(pa.table({name: [row[name] for row in rows] for name in rows[0]}), path)
    return path


@pytest.mark.parametrize("encoding", ["csv", "jsonl", "parquet"])
def test_our_own_columns(encoding: str, tmp_path: Path) -> None:
    rows = ours(session=[7, None, 0, -1], priority=[-3, 2, None, 0])
    found = labels(read(written(tmp_path, encoding, rows)))
    assert found == [((), 7, -3), ((), -1, 2), ((), 0, 0), ((), -1, 0)]


@pytest.mark.parametrize("encoding", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("column", ["session", "priority"])
def test_one_of_our_columns_alone(encoding: str, column: str, tmp_path: Path) -> None:
    found = read(written(tmp_path, encoding, ours(**{column: [4, 5]})))
    assert [getattr(request, column) for request in found] == [4, 5]
    other = {"session": ("priority", 0), "priority": ("session", -1)}[column]
    assert all(getattr(request, other[0]) == other[1] for request in found)


@pytest.mark.parametrize("encoding", ["jsonl", "parquet"])
def test_our_own_block_hashes(encoding: str, tmp_path: Path) -> None:
    rows = ours(block_hashes=[[1, 2], [], None])
    found = labels(read(written(tmp_path, encoding, rows)))
    assert found == [((1, 2), -1, 0), ((), -1, 0), ((), -1, 0)]


def test_keys_may_be_missing_in_some_lines(tmp_path: Path) -> None:
    rows = ours(session=[1, 2, 3])
    del rows[0]["session"]
    rows[1]["block_hashes"] = [9]
    assert labels(read(written(tmp_path, "jsonl", rows))) == [
        ((), -1, 0), ((9,), 2, 0), ((), 3, 0),
    ]  # fmt: skip


def test_labels_survive_what_the_options_do(tmp_path: Path) -> None:
    """Rows are put in order, cut, spread and scaled: labels go with their rows."""
    rows = ours(session=[0, 1, 2, 3, 4], priority=[0, 10, 20, 30, 40])
    for row, at_s in zip(rows, (0, 5, 3, 5, 9), strict=True):
        row |= {"arrival_s": at_s, "input_tokens": at_s + 1}
    path = written(tmp_path, "csv", rows)
    found = read(path, window_end_ps=6 * 10**12, spread_bunch_ps=10**12, rate_scale=2.0)
    assert [(r.session, r.priority, r.input_tokens) for r in found] == [
        (0, 0, 1), (2, 20, 4), (1, 10, 6), (3, 30, 6),
    ]  # fmt: skip


@pytest.mark.parametrize("encoding", ["csv", "jsonl"])
@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("session", "x", "session is"),
        ("session", 1.5, "session is"),
        ("session", -2, "session is -2, below 0 (-1 or nothing: not known)"),
        ("session", 10**18, "session is"),
        ("priority", "high", "priority is"),
        ("priority", 0.5, "priority is"),
        ("priority", True, "priority is"),
    ],
)
def test_bad_labels_are_bad_rows(
    encoding: str, column: str, value: object, words: str, tmp_path: Path
) -> None:
    path = written(tmp_path, encoding, ours(**{column: [1, value, 3]}))
    with pytest.raises(InputError) as caught:
        read(path)
    (problem,) = caught.value.problems
    assert problem.line == (3 if encoding == "csv" else 2)
    assert words in problem.message
    assert f"{column} (may be missing), a whole number" in problem.message
    assert len(read(path, skip_bad_rows=True)) == 2


@pytest.mark.parametrize("hashes", ['"ab"', "[1.5]", "[true]", "[null]", "3"])
def test_bad_hashes_are_bad_rows(hashes: str, tmp_path: Path) -> None:
    text = '{"arrival_s": 1, "input_tokens": 5, "output_tokens": 6, "block_hashes": '
    text += hashes + "}"
    with pytest.raises(InputError, match="block_hashes is not a list of whole numbers"):
        read(tmp_path / "t", text)


def test_a_column_given_twice_is_not_guessed(tmp_path: Path) -> None:
    text = "arrival_s,input_tokens,output_tokens,session,session\n1,2,3,4,5\n"
    with pytest.raises(InputError, match="not a known trace format"):
        read(tmp_path / "t", text)


def test_burstgpt_sessions(tmp_path: Path) -> None:
    """Numbers as they are, also as a spreadsheet writes them; words get a number of their own."""
    head = "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Log Type\n"
    ids = ("3", "3.0", "", "ab-c", "ab-c", "ab-d", " 4 ")
    rows = "".join(f"{n},{text},1.5,GPT-4,10,20,x\n" for n, text in enumerate(ids))
    sessions = [request.session for request in read(tmp_path / "t", head + rows)]
    assert sessions[:3] == [3, 3, -1]
    assert sessions[3] == sessions[4] != sessions[5]
    assert min(sessions[3:6]) >= 0
    assert sessions[6] == 4


def qwen(chats: list[tuple[int, int]]) -> str:
    line = '{"chat_id": %d, "parent_chat_id": %d, "timestamp": %d, "input_length": 20, '
    line += '"output_length": 3, "type": "text", "turn": 1, "hash_ids": [1, 2]}\n'
    return "".join(line % (chat, parent, n) for n, (chat, parent) in enumerate(chats))


def test_qwen_sessions_are_the_roots_of_chains(tmp_path: Path) -> None:
    chats = [(1, -1), (2, -1), (3, 1), (4, 2), (5, 3), (6, 1), (7, 5), (8, 99), (9, 8), (10, 99)]
    sessions = [request.session for request in read(tmp_path / "t", qwen(chats))]
    assert sessions == [1, 2, 1, 2, 1, 1, 1, 99, 99, 99], "99 is not in the file"
    again = [request.session for request in read(tmp_path / "t")]
    assert again == sessions, "every replay starts from nothing"


@given(st.lists(st.integers(-1, 40), max_size=60))
def test_chains_against_a_search_for_the_root(parents: list[int]) -> None:
    """Chat n has a parent before it, or one that is not there (100 and above)."""
    chains = ChatChains()
    links = {n: p if p < n else 100 + p for n, p in enumerate(parents)}
    for chat, parent in links.items():
        root = chat
        while root in links and links[root] >= 0:
            root = links[root]
        assert chains.session(chat, parent) == root


def test_memory_of_chains_is_bounded() -> None:
    """A chain whose last chat was forgotten begins anew at the parent's number."""
    chains = ChatChains(kept=10)
    chains.session(0, -1)
    assert chains.session(1, 0) == 0
    for chat in range(100, 1000, 2):
        chains.session(chat + 1, chat)
        assert len(chains._first_of) <= 10
    assert chains.session(2, 1) == 1
    assert chains.session(3, 2) == 1
