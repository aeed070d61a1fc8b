"""Bought by single nodes, the Capacity sheet counts nodes as the run places replicas on them."""

from fractions import Fraction
from math import ceil
from pathlib import Path

import pytest
from spreadsheets import FIFTEEN_DIGITS, SOFFICE, named, opened, recalculated

import rack_sim
from rack_sim.partition.placement import groups
from rack_sim.record.footprint import footprint_entry_on
from rack_sim.record.store import read
from rack_sim.report.sheets.capacity_facts import CapacityFacts, run_facts
from rack_sim.report.views import Wanted, leave
from rack_sim.scenario import load_system

needs_office = pytest.mark.skipif(SOFFICE is None, reason="LibreOffice (soffice) is not installed")


@pytest.fixture(scope="module")
def loose(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four replicas that take three of the four chips of a system each."""
    changes = ["partition.tensor_parallel=1", "partition.stages=3", "serving.replicas=4"]
    result = rack_sim.simulate(
        rack_sim.load("llama70b-a100", [*changes, "workload.request_count=20"])
    )
    folder = tmp_path_factory.mktemp("loose")
    leave(result, folder, wall_s=0, wanted=Wanted(figures=False))
    return folder


@needs_office
@pytest.mark.slow
@pytest.mark.parametrize("spare_share", [0, 0.1])
def test_replicas_are_not_packed_across_systems(
    loose: Path, spare_share: float, tmp_path: Path
) -> None:
    """Bought by single nodes, too, each of the run's systems is paid for; spares are added."""
    book = opened(loose / "report.xlsx")
    changes = {"bought_by": "single nodes", "spare_share": spare_share}
    for name, value in changes.items():
        named(book, name).value = value
    book.save(tmp_path / "changed.xlsx")
    (found,) = recalculated([tmp_path / "changed.xlsx"], tmp_path / "office")
    book = opened(found, values=True)
    summary = read(loose).summary
    spare_nodes = ceil(Fraction(12) * Fraction(str(spare_share)) / 4)
    facts = run_facts(read(loose))
    assert isinstance(facts, CapacityFacts)
    plan = facts.planned(changes)
    wanted = {
        "nodes_of_model": 4,
        "nodes": 4 + spare_nodes,
        "racks": 4 + spare_nodes,
        "chips_of_model": summary["chip_count"],
        "idle_chips": summary["idle_chip_count"],
        "spare_chips": 4 * spare_nodes,
        "chips_bought": 16 + 4 * spare_nodes,
    }
    assert {name: named(book, name).value for name in wanted} == wanted
    assert {name: plan[name] for name in wanted} == wanted
    own_usd = summary["capital_usd"]
    assert isinstance(own_usd, int | float)
    capital_usd = own_usd * (16 + 4 * spare_nodes) / 16
    assert named(book, "capital_usd").value == pytest.approx(capital_usd, rel=FIFTEEN_DIGITS)


@pytest.mark.parametrize("tensor_parallel", [1, 2, 3, 5, 8, 12, 16, 20])
@pytest.mark.parametrize("stages", [1, 2, 3, 7])
def test_nodes_of_replicas_are_those_of_their_groups(tensor_parallel: int, stages: int) -> None:
    """Counted chip by chip on the placement, for every number of replicas of a system."""
    topology = load_system("groq-576").topology
    entry = footprint_entry_on(topology, tensor_parallel, stages, 1)
    placed, node_of = groups(topology, tensor_parallel), topology.node_of_chip()
    for replicas in range(1, entry["replicas_per_system"] + 1):
        held = {node_of[chip] for group in placed[: replicas * stages] for chip in group}
        chips = replicas * entry["chips_per_replica"]
        assert len(held) == ceil(Fraction(chips, entry["usable_chips_per_node"]))
