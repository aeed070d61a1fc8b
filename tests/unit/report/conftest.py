"""Finished runs to make reports of: simulated once, each in a directory of its own."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import rack_sim
from rack_sim.report.run_files import write_run

SMALL = Path(__file__).parents[1] / "scenario" / "small.yaml"
BATCHES = Path(__file__).parents[1] / "cli" / "batches.yaml"
# name -> scenario, overrides
RUNS: dict[str, tuple[str, list[str]]] = {
    # Some are too long for the context, and there are objectives of every kind.
    "slots": (
        str(SMALL),
        [
            "workload.request_count=300",
            "workload.input_tokens={kind: lognormal, mean_tokens: 400, p50_tokens: 200}",
            "slo={ttft_ms: 60, tpot_ms: 5, e2el_s: 1}",
            "partition={tensor_parallel: 8, stages: 8}",
        ],
    ),
    "batches": (str(BATCHES), ["slo={ttft_ms: 100}"]),
    "racks": ("llama70b", ["workload.request_count=200"]),
}


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The directory of a run of `RUNS`, by name; it is shared, so nothing may be changed in it."""
    made: dict[str, Path] = {}

    def folder_of(name: str) -> Path:
        if name not in made:
            scenario, overrides = RUNS[name]
            folder = tmp_path_factory.mktemp(name)
            result = rack_sim.simulate(rack_sim.load(scenario, overrides))
            write_run(result, folder, wall_s=0, figures=False)
            made[name] = folder
        return made[name]

    return folder_of


@pytest.fixture
def own(finished: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """A copy of the directory of a run, to be changed."""

    def copy_of(name: str) -> Path:
        return Path(shutil.copytree(finished(name), tmp_path / name))

    return copy_of
