"""Finished runs and sizings to make reports of: made once, each in a directory of its own."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import rack_sim
from rack_sim.report.views import Wanted, leave
from rack_sim.study.sizing import SizingRequest, size

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
            leave(result, folder, wall_s=0, wanted=Wanted(figures=False))
            made[name] = folder
        return made[name]

    return folder_of


@pytest.fixture
def own(finished: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """A copy of the directory of a run, to be changed."""

    def copy_of(name: str) -> Path:
        return Path(shutil.copytree(finished(name), tmp_path / name))

    return copy_of


@pytest.fixture(scope="session")
def sized(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Directories of sizings, made once; nothing may be changed in them."""
    made: dict[str, Path] = {}

    def folder_of(name: str) -> Path:
        if name not in made:
            if name == "slots":
                scenario = rack_sim.load(str(BATCHES.with_name("slots.yaml")))
                asked = SizingRequest(
                    "ttft_p99=80ms,tpot_p99=2ms",
                    150,
                    tensor_parallel=[2, 4],
                    stages=[1, 2],
                    replicas_max=8,
                    request_count=200,
                )
            else:
                scenario = rack_sim.load(str(BATCHES), ["slo={ttft_ms: 100}"])
                asked = SizingRequest(
                    rate_rps=700, attainment=0.95, replicas_max=3, request_count=300
                )
            found = size(scenario, asked)
            folder = tmp_path_factory.mktemp(name)
            leave(found, folder, wall_s=0, wanted=Wanted(figures=False))
            made[name] = folder
        return made[name]

    return folder_of
