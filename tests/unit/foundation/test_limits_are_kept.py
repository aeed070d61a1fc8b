"""Every limit of the table is read by someone, and lowering it refuses what is shipped, by name."""

import ast
import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import rack_sim
from rack_sim.foundation import work_limits
from rack_sim.foundation.errors import InputError
from rack_sim.foundation.work_limits import LIMITS, VARIABLE
from rack_sim.pipeline import explain, simulate
from rack_sim.scenario import load_scenario, load_study, load_system
from rack_sim.study.kinds import run_study
from rack_sim.workload import TraceWorkload

SLOW = "system.chip.matrix.feed_mbytes_per_s=1"
HEADER = "arrival_s,input_tokens,output_tokens\n"


def loaded(*changes: str) -> Callable[[Path], object]:
    return lambda _folder: load_scenario("llama70b", changes)


def replayed(*changes: str) -> Callable[[Path], object]:
    return lambda _folder: simulate(load_scenario("llama70b", changes))


def trace(rows: str, *, zipped: bool = False) -> Callable[[Path], object]:
    """A trace of our own format that is read."""

    def read(folder: Path) -> object:
        path = folder / "trace"
        raw = (HEADER + rows).encode()
        path.write_bytes(gzip.compress(raw) if zipped else raw)
        return TraceWorkload(path).validate()

    return read


def lists(folder: Path) -> object:
    """A Parquet trace with lists."""
    columns = {
        "arrival_s": [1],
        "input_tokens": [9],
        "output_tokens": [1],
        "block_hashes": [[1, 2]],
    }
    pq.write_table(pa.table(columns), folder / "trace")
    return TraceWorkload(folder / "trace").validate()


# Name -> what the limit is lowered to (a rate: raised to), and what is then refused.
CASES: dict[str, tuple[int, Callable[[Path], object]]] = {
    "chips": (647, loaded()),
    "cables": (1000, loaded()),
    "replicas": (1, loaded("serving.replicas=2")),
    "layers": (79, loaded()),
    "experts": (7, lambda _folder: load_scenario("llama70b-a100", ["model=mixtral-8x7b"])),
    "hidden_size": (8191, loaded()),
    "prompt_tokens": (199, loaded("workload.input_tokens={kind: fixed, tokens: 200}")),
    "output_tokens": (199, loaded("workload.output_tokens={kind: fixed, tokens: 200}")),
    "slots": (1, loaded("serving.slot_rows=2")),
    "tasks": (47_067, lambda _folder: explain(load_scenario("llama70b"))),
    "requests": (199, loaded("workload.request_count=200")),
    "points": (1, lambda _folder: run_study(load_study("links"))),
    "document_bytes": (10, loaded()),
    "document_values": (3, loaded()),
    "document_depth": (1, loaded()),
    "number_digits": (1, loaded()),
    "line_bytes": (10, trace("1,2," + "3" * 1000)),
    "trace_rows": (1, trace("1,2,3\n2,2,3\n")),
    "held_rows": (1, trace("1,2,3\n1,2,3\n1,2,3\n")),
    "group_values": (1, lists),
    "unpacked_bytes": (50, trace("1,2,3\n" * 100, zipped=True)),
    "unpacking_ratio": (2, trace("1,2,3\n" * 10_000, zipped=True)),
    "wall_s": (1, replayed("workload.request_count=20000")),
    "memory_bytes": (1000, replayed("workload.request_count=200")),
    "latency_s": (1, lambda _folder: load_system("ring:4,latency_ns=1000000001")),
    "step_s": (1, lambda _folder: explain(load_scenario("llama70b", [SLOW]))),
    "least_flop_per_s": (10**18, loaded()),
    "least_bytes_per_s": (10**15, loaded()),
}
# A note, not a refusal.
NOTES = {"wall_note_s": 20_000, "memory_note_bytes": 200}


def read_names() -> set[str]:
    """Every string of the package's code but the table itself."""
    found = set()
    for path in Path(rack_sim.__file__).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path != Path(work_limits.__file__) and "work_limits import" in text:
            nodes = ast.walk(ast.parse(text))
            found |= {node.value for node in nodes if isinstance(node, ast.Constant)}
    return found


@pytest.mark.parametrize("name", [entry.name for entry in LIMITS])
def test_nothing_stands_in_the_table_that_nobody_reads(name: str) -> None:
    """Its name is a string of a module that asks for limits, and there is a case for it here."""
    assert name in read_names()
    assert (name in CASES) != (name in NOTES)


@pytest.mark.parametrize("name", CASES)
def test_a_limit_that_is_lowered_refuses(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes through without the setting is refused with it, and the way back is named."""
    monkeypatch.setattr("rack_sim.workload.trace_file.RATIO_FROM_BYTES", 1000)
    lowered, work = CASES[name]
    monkeypatch.setenv(VARIABLE, f"{name}={lowered}")
    with pytest.raises(InputError) as caught:
        work(tmp_path)
    assert f"{VARIABLE}={name}=" in str(caught.value)


@pytest.mark.parametrize(("name", "requests"), NOTES.items())
def test_a_long_or_large_run_says_so_first(
    name: str, requests: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, before anything is placed or replayed; without the setting there is none."""
    scenario = load_scenario("llama70b", [f"workload.request_count={requests}"])
    begun: list[str] = []
    monkeypatch.setattr("rack_sim.pipeline.explain", lambda *_given, **_more: begun.append("begun"))
    for setting, count in (("", 0), (f"{name}=1", 1)):
        monkeypatch.setenv(VARIABLE, setting)
        begun.clear()
        with pytest.raises(AttributeError):  # nothing was explained: the run ends where it begins
            simulate(scenario, on_note=begun.append)
        assert len(begun) == count + 1
        assert begun[-1] == "begun"
    assert begun[0].startswith(f"a replay of {requests:,} requests in ")
    assert "on one core" in begun[0]
    assert "workload.request_count" in begun[0]
