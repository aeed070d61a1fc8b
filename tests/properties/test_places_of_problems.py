"""Whatever is changed in a scenario, what is said of it says where: a line, or an option's name."""

import json
import math
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from rack_sim.foundation.errors import InputError
from rack_sim.scenario import load_scenario
from rack_sim.scenario.library import data_root

TESTS = Path(__file__).parents[1]
# But those of a trace that users download.
SHIPPED = sorted(
    path.stem
    for path in (data_root() / "scenarios").glob("*.yaml")
    if "kind: trace" not in path.read_text(encoding="utf-8")
)
OWN = [str(TESTS / "unit" / "cli" / name) for name in ("slots.yaml", "batches.yaml")]

GONE, MISSPELT = object(), object()
CHANGES = (GONE, MISSPELT, None, "word", -1, 0, 10**30, 1.5, math.nan, [], {}, True, "\x1b[31m")
# Every so manieth pair of place and change; the number shares no factor with that of the changes.
FEW = 37


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if not isinstance(value, dict | list):
        return
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        yield from paths_in(item, (*path, key))


def changed(keys: Any, path: tuple[Any, ...], change: object) -> Any:
    whole = deepcopy(keys)
    holder = whole
    for key in path[:-1]:
        holder = holder[key]
    if change is GONE:
        del holder[path[-1]]
    elif change is MISSPELT and isinstance(holder, dict):
        holder[f"{path[-1]}x"] = holder.pop(path[-1])
    else:
        holder[path[-1]] = deepcopy(change) if change is not MISSPELT else "?"
    return whole


def faults_of(reference: str, step: int) -> tuple[int, list[str]]:
    """How many changes of a scenario, all presets put in, were refused; problems without place."""
    keys = dict(load_scenario(reference).resolved)
    pairs = [(path, change) for path in paths_in(keys) for change in CHANGES]
    refused, lost = 0, []
    for path, change in pairs[::step]:
        Path("p.json").write_text(json.dumps(changed(keys, path, change), indent=1))
        try:
            load_scenario("p.json")
        except InputError as error:
            refused += 1
            lost += [
                f"{path} {change!r}: {problem}"
                for problem in error.problems
                if not (problem.line and problem.column)
            ]
    return refused, lost


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("reference", OWN)
def test_some_changes(reference: str) -> None:
    refused, lost = faults_of(reference, FEW)
    assert refused > 10
    assert not lost, "\n".join(lost)


@pytest.mark.slow
@pytest.mark.parametrize("reference", [*SHIPPED, *OWN])
def test_every_change(reference: str) -> None:
    refused, lost = faults_of(reference, 3)
    assert refused > 100
    assert not lost, "\n".join(lost)


@pytest.mark.parametrize(
    "override",
    [
        "seed",
        "seed=\x00",
        "seed=\udc80",
        'description="\\ud800"',
        "seed=\t",
        "seed=[",
        "seed=" + "9" * 60_000 + "x",
        "seed=" + "[" * 200,
        "model.num_kv_heads=1",
        "model=./nowhere.json",
        "workload={kind: trace, path: nowhere.csv}",
        "serving.policy.kind=none",
        "system.topology.kind=none",
        "partition.tensor_parallel=7",
        "a.b.c=1",
    ],
)
def test_an_option_is_named(override: str) -> None:
    with pytest.raises(InputError) as caught:
        load_scenario(OWN[0], [override])
    for problem in caught.value.problems:
        named = problem.place == f"--set {override}"
        assert named or (problem.line and problem.column), problem


@pytest.mark.parametrize("size", [0, 1, 7, 60, 300, 800])
@pytest.mark.parametrize("byte", [0x00, 0x07, 0x1B, 0x7F, 0x80, 0xC3, 0xFF])
def test_bytes_that_are_no_text_have_their_line(size: int, byte: int) -> None:
    """As an editor counts: characters of the line before it, and one."""
    text = Path(OWN[0]).read_bytes()
    Path("p.yaml").write_bytes(text[:size] + bytes([byte]) + text[size:])
    before = text[:size].decode().split("\n")
    with pytest.raises(InputError) as caught:
        load_scenario("p.yaml")
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == (len(before), len(before[-1]) + 1)
