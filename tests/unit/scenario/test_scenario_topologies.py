"""Every kind of topology can be written in a file, and what is wrong with one is told in place."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from rack_sim.foundation.errors import InputError
from rack_sim.hardware.failures import with_failed_links
from rack_sim.hardware.survey import survey
from rack_sim.hardware.system import System
from rack_sim.scenario import Scenario, load_system
from rack_sim.scenario.library import presets

Load = Callable[..., Scenario]

FRAME = """
name: own
chip: groq-lpu-v1
links:
  local: {rate_gbytes_per_s: 10, latency_ns: 500, payload_bytes: 320, wire_bytes: 328}
host_watts_per_node: 0
topology:
"""

SHAPES = {
    "fully_connected": ("chips: 8", 8, 56, 1),
    "full_mesh": ("chips: 4, links_per_pair: 3", 4, 36, 1),
    "switched": ("chips: 8, switches: 2, links_per_chip: 4, ports_per_switch: 16", 8, 64, 1),
    "ring": ("chips: 6, links_per_pair: 2, chips_per_node: 3", 6, 24, 3),
    "mesh": ("sides: [2, 3]", 6, 14, 3),
    "torus": ("sides: [4, 4, 2], links_per_pair: 1, chips_per_node: 8", 32, 160, 5),
    "hyperx": ("sides: [3, 3]", 9, 36, 2),
    "dragonfly": (
        "nodes_per_rack: 3, chips_per_node: 2, links_per_node_pair: 1",
        6,
        12,
        3,
    ),
    "edge_list": ("chips: 4, cables: [[0, 1], [1, 2, 2], [2, 3]], chips_per_node: 2", 4, 8, 3),
}


def system_of(topology: str, frame: str = FRAME) -> System:
    """The system of a file with this topology."""
    Path("own.yaml").write_text(frame + f"  {{{topology}}}\n", encoding="utf-8")
    return load_system("own.yaml")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", SHAPES)
def test_every_kind_can_be_written(kind: str) -> None:
    keys, chips, links, diameter = SHAPES[kind]
    topology = system_of(f"kind: {kind}, {keys}").topology
    assert (topology.kind, topology.chip_count, len(topology.links)) == (kind, chips, links)
    assert survey(topology).distances.diameter_hops == diameter


def test_a_system_of_a_scenario_may_have_any_kind(load: Load) -> None:
    scenario = load("", "system.topology={kind: torus, sides: [3, 4], chips_per_node: 4}")
    assert scenario.deployment.system.topology.sides == (3, 4)
    sides = [item for item in scenario.provenance if ".sides." in item.name]
    assert [item.value for item in sides] == ["3", "4"]


def test_cables_have_one_source_for_all() -> None:
    cables = "cables: {value: [[0, 1], [1, 2]], source: 'a paper', grade: B}"
    assert system_of(f"kind: edge_list, chips: 3, {cables}").topology.chip_count == 3


def complaints(topology: str, frame: str = FRAME) -> list[str]:
    with pytest.raises(InputError) as caught:
        system_of(topology, frame)
    return [str(problem) for problem in caught.value.problems]


def test_bad_cables_are_told_at_their_place_all_at_once() -> None:
    for cables in ("[[0, 1], [1, 1], [0, 9]]", "{value: [[0, 1], [1, 1], [0, 9]], assumed: no}"):
        first, second = complaints(f"kind: edge_list, chips: 3, cables: {cables}")
        assert first.startswith("own.yaml:8:")
        assert "two different chips" in first
        assert "there is no chip 9" in second


def test_entries_of_the_wrong_length_are_told() -> None:
    found = complaints("kind: edge_list, chips: 3, cables: [[0], [0, 1, 2, 3], [0, x]]")
    assert len(found) == 3
    assert "at least 2 entries" in found[0]
    assert "not a whole number" in found[2]


@pytest.mark.parametrize(
    ("topology", "words"),
    [
        ("kind: ring, chips: 6, chips_per_node: 4", "make no nodes of 4"),
        ("kind: torus, sides: [4]", "at least 2 entries"),
        ("kind: torus, sides: [4, 1]", "at least 2 chips"),
        ("kind: tours, sides: [4, 4]", "did you mean 'torus'"),
        ("kind: mesh, sides: [4, 4], chips: 16", "unknown key 'chips'"),
        ("kind: fully_connected, chips: 13", "needs 12 ports on chip 0"),
        ("kind: switched, chips: 4, switches: 2, links_per_chip: 12", "needs 12 ports"),
        (
            "kind: switched, chips: 4, switches: 1, links_per_chip: 4, ports_per_switch: 15",
            "16 ports on switch 4",
        ),
        ("kind: edge_list, chips: 4, cables: [[0, 1], [2, 3]]", "not connected"),
        ("kind: ring, chips: 1e9", "more than the limit"),
        (
            "kind: dragonfly, racks: 2, nodes_per_rack: 2, chips_per_node: 2, "
            "links_per_node_pair: 1",
            "not connected",
        ),
        (
            "kind: dragonfly, nodes_per_rack: 2, chips_per_node: 2, links_per_node_pair: 1, "
            "rack_cables: shuffled",
            "'dealt', 'scattered'|allowed|did you mean",
        ),
    ],
)
def test_what_cannot_be_is_told_in_its_place(topology: str, words: str) -> None:
    (problem,) = complaints(topology)
    assert re.match(r"own.yaml:[78]:\d+: ", problem), problem
    assert re.search(words, problem), problem


def test_links_of_no_bandwidth_are_refused() -> None:
    (problem,) = complaints("kind: ring, chips: 4", FRAME.replace("_per_s: 10", "_per_s: 0"))
    assert "the rate of links.local is zero" in problem


def test_a_system_that_is_not_there_is_told() -> None:
    with pytest.raises(InputError, match="did you mean 'groq-264'"):
        load_system("groq-246")
    with pytest.raises(InputError, match="no such file"):
        load_system("nowhere.yaml")
    Path("bad.yaml").write_text("name: bad\nchip: groq-lpu-v2\n")
    with pytest.raises(InputError, match="there are: groq-lp30, groq-lpu-v1"):
        load_system("bad.yaml")
    Path("list.yaml").write_text("- 1\n")
    with pytest.raises(InputError, match="must be a mapping"):
        load_system("list.yaml")
    Path("empty.yaml").write_text("name: empty\n")
    with pytest.raises(InputError) as caught:
        load_system("empty.yaml")
    assert len(caught.value.problems) == 4


@pytest.mark.parametrize("name", sorted(presets("system")))
def test_presets_build_alone(name: str) -> None:
    system = load_system(name)
    assert system.name == name
    assert system == load_system(name)


@pytest.mark.parametrize(
    ("name", "chips", "ports", "diameter", "bisection_gbytes_per_s"),
    [
        ("groq-264", 264, 11, 3, None),
        ("nvidia-a100-80-x8", 8, 12, 1, 8 * 300 / 2),
        ("nvidia-h100-x4", 4, 18, 1, 4 * 450 / 2),
        ("nvidia-b200-x8", 8, 18, 1, 8 * 900 / 2),
        ("amd-mi300x-x4", 4, 3, 1, 4 * 64),
        ("amd-mi300x-x8", 8, 7, 1, 16 * 64),
        ("tenstorrent-galaxy-32", 32, 16, 6, 2 * 4 * 4 * 12.5),
        ("lpx-rack-256", 256, 23, 3, 128 * 50),
        ("cerebras-wse-3-x4", 4, 12, 1, 2 * 150),
    ],
)
def test_presets_are_the_machines(
    name: str, chips: int, ports: int, diameter: int, bisection_gbytes_per_s: float | None
) -> None:
    found = survey(load_system(name).topology)
    assert found.chip_count == chips
    assert found.ports_used_max == ports
    assert found.distances.diameter_hops == diameter
    if bisection_gbytes_per_s is not None:
        assert found.bisection.exact
        assert found.bisection.bytes_per_s == bisection_gbytes_per_s * 10**9


@pytest.mark.parametrize(
    "kind", ["fully_connected", "full_mesh", "ring", "mesh", "torus", "hyperx"]
)
def test_every_kind_may_have_failed_links(kind: str) -> None:
    keys = SHAPES[kind][0]
    healthy = system_of(f"kind: {kind}, {keys}").topology
    failed = system_of(f"kind: {kind}, {keys}, failed_links: [[0, 1]]").topology
    assert failed == with_failed_links(healthy, [[0, 1]])
    rigid = system_of(f"kind: {kind}, {keys}, failed_links: [[0, 1]], reroute: false").topology
    assert rigid == with_failed_links(healthy, [[0, 1]], reroute=False)
    assert system_of(f"kind: {kind}, {keys}, reroute: true").topology == healthy


def test_links_to_a_switch_and_single_cables_may_fail() -> None:
    box = system_of(f"kind: switched, {SHAPES['switched'][0]}, failed_links: [[0, 8, 1]]").topology
    assert len(box.failed_links) == 2
    cables = system_of(f"kind: edge_list, {SHAPES['edge_list'][0]}, failed_links: [[2, 1, 1]]")
    assert len(cables.topology.links) == 6
    nodes = "nodes_per_rack: 3, chips_per_node: 2, links_per_node_pair: 1, failed_links: [[0, 1]]"
    assert survey(system_of(f"kind: dragonfly, {nodes}").topology).distances.diameter_hops == 5


def test_failed_links_that_cannot_be_are_told_at_their_place() -> None:
    shape = "kind: ring, chips: 6, chips_per_node: 2, failed_links: "
    found = complaints(shape + "[[0, 1], [0, 3], [1, 0], [0, 6]]")
    assert [
        re.match(r"own.yaml:8:\d+: topology.failed_links.(\d): ", text)[1] for text in found
    ] == [
        "1",
        "2",
        "3",
    ]
    assert "chip 0 is joined to chips 1 and 5" in found[0]
    (apart,) = complaints(shape + "[[0, 1], [3, 4]]")
    assert apart.startswith("own.yaml:8:")
    assert "chips 1, 2 and 3 cannot be reached from chip 0" in apart
    assert len(complaints(shape + "[[0], [-1, 2], [0, 1, 2, 3], [0, x]], reroute: maybe")) == 5


def test_a_scenario_may_have_failed_links(load: Load) -> None:
    with pytest.raises(InputError, match="cables cannot fail where 1 joins"):
        load("", "system.topology.failed_links=[[0, 1, 2]]")
    broken = load("", "system.topology.failed_links=[[0, 1]]")
    assert len(broken.deployment.system.topology.failed_links) == 2
    assert broken.scenario_hash != load("").scenario_hash
    assert broken.resolved["system"]["topology"]["failed_links"] == [[0, 1]]
    assert "reroute" not in load("").resolved["system"]["topology"]
