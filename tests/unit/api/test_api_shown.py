"""Everything that `import rack_sim` gives prints in a line, and all that is reached from it."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import rack_sim
from rack_sim.study.compare import contenders, run_comparison

LINE_CHARACTERS = 1200  # a few lines of a terminal; without care it is 39 MB
CARD_CHARACTERS = 4000
GRID = """
kind: grid
name: small
description: <b>small</b>
scenario: llama70b
mode: explain
grid: {partition.objective: [fewest_chips, lowest_latency]}
collect: [chip_count]
"""
JITTER = {
    "step_count": 60,
    "warmup_step_count": 1,
    "operator_jitter_ns": [0],
    "points": [{"name": "<i>rack</i>", "overrides": {"partition.stages": 72}}],
}
SEARCH = {"tensor_parallel": [8], "stages": [72], "replicas_max": 1, "request_count": 300}
FEW = {"workload.request_count": 20}


def _grid(folder: Path) -> object:
    (folder / "grid.yaml").write_text(GRID, encoding="utf-8")
    return rack_sim.sweep(folder / "grid.yaml")


MAKERS: dict[str, Callable[[Path], object]] = {
    "Result": lambda _: rack_sim.simulate("llama70b", FEW),
    "Result, reactive": lambda _: rack_sim.simulate("llama70b-a100", FEW),
    "LoadResult": lambda _: rack_sim.sweep("load", ["request_count=50", "rates_rps=[2,4]"]),
    "JitterResult": lambda _: rack_sim.sweep("jitter", JITTER),
    "GridResult": _grid,
    "Sizing": lambda _: rack_sim.size(
        "llama70b",
        {"workload.arrivals.rate_rps": 1},
        slo="ttft_p99=2s,tpot_p99=10ms",
        **SEARCH,  # type: ignore[arg-type]
    ),
    "Comparison": lambda _: run_comparison(contenders(["llama70b"], ["workload.request_count=20"])),
}


@pytest.mark.parametrize("name", MAKERS)
def test_what_is_given_prints_in_a_line(name: str, tmp_path: Path) -> None:
    given: Any = MAKERS[name](tmp_path)
    assert type(given).__name__ == name.partition(",")[0]
    assert len(repr(given)) < 500
    card = given._repr_html_()
    assert len(card) < CARD_CHARACTERS
    assert "<b>" not in card and "<i>" not in card
    for path, value in _reached(given, name):
        assert len(repr(value)) < LINE_CHARACTERS, path
        assert "\n" not in repr(value), path


def _reached(given: object, path: str) -> Iterator[tuple[str, object]]:
    """Every value of ours that attributes lead to; of lists and mappings the first few."""
    waiting: list[tuple[str, object]] = [(path, given)]
    seen: dict[int, object] = {}
    while waiting:
        where, value = waiting.pop()
        if id(value) in seen or value is None or isinstance(value, str | int | float | bytes):
            continue
        seen[id(value)] = value  # kept, so that no other takes its number
        if isinstance(value, Mapping):
            waiting += [(f"{where}[{key!r}]", item) for key, item in list(value.items())[:3]]
        elif isinstance(value, list | tuple):
            waiting += [(f"{where}[{at}]", item) for at, item in enumerate(value[:3])]
        if type(value).__module__.startswith("rack_sim"):
            yield where, value
            if dataclasses.is_dataclass(value):
                waiting += [
                    (f"{where}.{one.name}", getattr(value, one.name))
                    for one in dataclasses.fields(value)
                ]


def test_numbers_of_a_result_are_in_its_line() -> None:
    result = rack_sim.simulate("llama70b", FEW)
    assert f"finished_count={result.summary['finished_count']}" in repr(result)
    assert f"scenario_hash='{result.summary['scenario_hash']}'" in repr(result)
    assert "chip_count=576" in repr(result.explanation)
    name = result.explanation.plan.model.name
    assert f"model={name!r}" in repr(result.explanation.scenario)
