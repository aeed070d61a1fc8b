"""A system in one line is the system of the file that says the same, and errs in words."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.units import UNITS as KNOWN_UNITS
from rack_sim.foundation.units import to_base
from rack_sim.hardware.routing import Routing
from rack_sim.hardware.topology import Topology
from rack_sim.scenario import load_system

PRESET = load_system("groq-node-8")
USUAL: dict[str, Any] = {
    "rate_gbytes_per_s": 12.5,
    "latency_ns": 533,
    "payload_bytes": 320,
    "wire_bytes": 328,
}

# Line, topology of a file, ports that a chip needs: by the formula of the builder.
SAME = [
    ("fully-connected:8", {"kind": "fully_connected", "chips": 8}, 7),
    ("fully_connected:1", {"kind": "fully_connected", "chips": 1}, 1),
    ("full-mesh:8,links_per_pair=2", {"kind": "full_mesh", "chips": 8, "links_per_pair": 2}, 14),
    (
        "switched:8,switches=4,links_per_chip=18,ports_per_switch=40",
        {
            "kind": "switched",
            "chips": 8,
            "switches": 4,
            "links_per_chip": 18,
            "ports_per_switch": 40,
        },
        18,
    ),
    ("ring:8", {"kind": "ring", "chips": 8}, 2),
    (
        " ring : 8 , links_per_pair = 2,chips_per_node=4",
        {"kind": "ring", "chips": 8, "links_per_pair": 2, "chips_per_node": 4},
        4,
    ),
    ("mesh:4x4x2", {"kind": "mesh", "sides": [4, 4, 2]}, 5),
    ("torus:4x8", {"kind": "torus", "sides": [4, 8]}, 4),
    ("hyperx:2x8x16", {"kind": "hyperx", "sides": [2, 8, 16]}, 23),
    (
        "dragonfly:9x8,links_per_node_pair=1",
        {
            "kind": "dragonfly",
            "nodes_per_rack": 9,
            "chips_per_node": 8,
            "links_per_node_pair": 1,
        },
        8,
    ),
    (
        "dragonfly:2x9x8,links_per_node_pair=2,links_per_rack_pair=18,spare_nodes_per_rack=1,"
        "rack_cables=scattered",
        {
            "kind": "dragonfly",
            "racks": 2,
            "nodes_per_rack": 9,
            "chips_per_node": 8,
            "links_per_node_pair": 2,
            "links_per_rack_pair": 18,
            "spare_nodes_per_rack": 1,
            "rack_cables": "scattered",
        },
        # 7 in the node, 8 x 2 + 18 / 9 = 18 global ones dealt over 8 chips.
        7 + 3,
    ),
    (
        "torus:4x4,failed=0-1+5-4-1,reroute=false",
        {"kind": "torus", "sides": [4, 4], "failed_links": [[0, 1], [5, 4, 1]], "reroute": False},
        4,
    ),
]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written_out(
    name: str,
    topology: dict[str, Any],
    ports: int,
    chip: str = "groq-lpu-v1",
    **links: dict[str, Any],
) -> Any:
    """The system of a file."""
    content = {
        "name": name,
        "chip": {"preset": chip, "port_count": ports},
        "topology": topology,
        "links": links or {"local": USUAL},
        "host_watts_per_node": 0,
    }
    Path("own.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return load_system("own.yaml")


def problems(text: str) -> list[Problem]:
    with pytest.raises(InputError) as caught:
        load_system(text)
    return list(caught.value.problems)


@pytest.mark.parametrize(("text", "topology", "ports"), SAME, ids=[line for line, *_ in SAME])
def test_a_line_is_the_file_that_says_the_same(
    text: str, topology: dict[str, Any], ports: int
) -> None:
    found = load_system(text)
    assert found == written_out(text, topology, ports)
    assert (found.name, found.topology.name) == (text, text)


def test_links_are_those_of_the_preset_where_nothing_is_said() -> None:
    for name in ("local", "global"):
        ours = load_system("ring:8,chips_per_node=4").topology.link_types[name]
        theirs = PRESET.topology.link_types["local"]
        assert (ours.bytes_per_s, ours.latency_ps, ours.payload_bytes, ours.wire_bytes) == (
            theirs.bytes_per_s,
            theirs.latency_ps,
            theirs.payload_bytes,
            theirs.wire_bytes,
        )


@given(
    st.sampled_from([u.suffix for u in KNOWN_UNITS.values() if u.dimension == "bandwidth"]),
    st.sampled_from([u.suffix for u in KNOWN_UNITS.values() if u.dimension == "time"]),
    st.integers(1, 900) | st.sampled_from([0.5, 12.5, 0.125]),
    st.booleans(),
)
@settings(deadline=None, max_examples=40)
@example("bytes_per_s", "ps", 7, True)
@example("bytes_per_s", "s", 11, False)
@example("mbytes_per_s", "ns", 0.5, False)
def test_links_may_be_given_in_any_unit(
    rate: str, time: str, number: int | float, across: bool
) -> None:
    head = "global_" if across else ""
    if isinstance(number, float) and (rate == "bytes_per_s" or time == "ps"):
        number = 3
    if KNOWN_UNITS[rate].factor * number < 10**6:  # the least of a rate
        rate, number = "mbytes_per_s", 3 if isinstance(number, float) else number
    if time == "s":
        number = min(number, 10)  # seconds: the limit of a latency
    text = f"ring:8,chips_per_node=2,{head}link_{rate}={number},{head}latency_{time}={number}"
    types = load_system(text).topology.link_types
    changed = types["global" if across else "local"]
    assert changed.bytes_per_s == to_base(number, KNOWN_UNITS[rate])
    assert changed.latency_ps == to_base(number, KNOWN_UNITS[time])
    assert (types["local"].latency_ps == 533_000) == across
    assert types["global"].latency_ps == changed.latency_ps


def test_all_keys_of_links_together() -> None:
    text = (
        "dragonfly:3x4,links_per_node_pair=2,link_mbytes_per_s=1000,latency_us=0.5,"
        "global_link_gbytes_per_s=2.5,global_latency_ns=900,payload_bytes=256,wire_bytes=272,"
        "chip=nvidia-h100,ports=18"
    )
    near = {
        "rate_gbytes_per_s": 1,
        "latency_ns": 500,
        "payload_bytes": 256,
        "wire_bytes": 272,
    }
    far = {**near, "rate_gbytes_per_s": 2.5, "latency_ns": 900}
    shape = {
        "kind": "dragonfly",
        "nodes_per_rack": 3,
        "chips_per_node": 4,
        "links_per_node_pair": 2,
    }
    expected = written_out(text, shape, 18, "nvidia-h100", **{"local": near, "global": far})
    assert load_system(text) == expected


def test_ports_are_no_limit_unless_asked_for() -> None:
    assert load_system("fully-connected:40").chip.port_count == 39
    assert load_system("fully-connected:40,ports=64").chip.port_count == 64
    (problem,) = problems("fully-connected:40,ports=38")
    assert "needs 39 ports on chip 0" in problem.message
    # A cable that fails still fills its ports.
    assert load_system("fully-connected:4,failed=0-1+0-2").chip.port_count == 3


def test_failed_links_are_those_named() -> None:
    topology: Topology = load_system("torus:3x3,failed=0-1+4-3").topology
    pairs = {(link.source, link.target) for link in topology.failed_links}
    assert pairs == {(0, 1), (1, 0), (3, 4), (4, 3)}
    assert Routing(topology).hop_count(0, 1) == 2
    with pytest.raises(InputError, match="no cable joins chip 0 and chip 4"):
        load_system("torus:3x3,failed=0-4")
    with pytest.raises(InputError, match="falls apart"):
        load_system("ring:4,failed=0-1+1-2")
    box = load_system("switched:2,switches=2,links_per_chip=4,failed=0-2-1").topology
    assert len(box.failed_links) == 2


def test_a_long_line_is_a_name_too() -> None:
    text = "torus:16x32,failed=" + "+".join(f"{32 * row}-{32 * row + 1}" for row in range(16))
    text += "".join(f"+{32 * row + 5}-{32 * row + 37}" for row in range(15))
    assert len(text) > 200
    assert load_system(text).name == text
    (problem,) = problems(text + "+0-5")
    assert len(problem.place) == 200


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        ("torsu:4x4", "", "kind 'torsu' is not known .*did you mean 'torus'"),
        ("fully-conected:4", "", "did you mean 'fully-connected'"),
        ("edge-list:4", "", "not known .*allowed: dragonfly, full-mesh"),
        (":8", "", "kind '' is not known"),
        ("ring", "", "sizes are missing .*as in ring:8"),
        ("ring:", "", "sizes are missing"),
        ("torus,latency_ns=5", "", "sizes are missing"),
        ("ring:4x4", "", "takes one size, not 2"),
        ("torus:4", "", "takes 2 or 3 sizes, not 1"),
        ("mesh:2x2x2x2", "", "takes 2 or 3 sizes, not 4"),
        ("dragonfly:9,links_per_node_pair=1", "", "takes 2 or 3 sizes, not 1"),
        ("ring:0", "", "size '0' is not a whole number of at least 1"),
        ("ring:-8", "", "size '-8' is not"),
        ("ring:4.5", "", "size '4.5' is not"),
        ("ring:1e3", "", "size '1e3' is not"),
        ("ring:8:9", "", "size '8:9' is not"),
        ("torus:4x", "", "size '' is not"),
        ("ring:" + "9" * 5_000, "", "is not a whole number"),
        ("ring:9999999999", "topology.chips", "out of range"),
        ("ring:999999", "topology", "more than the limit"),
        ("torus:4x1", "topology.sides.1", "at least 2 chips"),
        ("ring:8,chips_per_node=3", "topology.chips_per_node", "make no nodes of 3"),
        ("ring:8,", "", "'' has no key"),
        ("ring:8,=4", "", "'=4' has no key"),
        ("ring:8,ports", "ports", "'ports' has no value"),
        ("ring:8,latency_ns=", "latency_ns", "'latency_ns' has no value"),
        ("ring:8,latancy_ns=4", "latancy_ns", "unknown key .*did you mean 'latency_ns'"),
        ("ring:8,switches=4", "switches", "unknown key 'switches'"),
        ("ring:8,rate_gbytes_per_s=4", "rate_gbytes_per_s", "unknown key"),
        ("ring:8,latency=4", "latency", "in no unit of time .*latency_ps, latency_ns"),
        ("ring:8,link=4", "link", "in no unit of bandwidth .*link_bytes_per_s, link_mbytes"),
        ("ring:8,latency_max_ns=4", "latency_max_ns", "in no unit of time"),
        ("ring:8,link_gb=4", "link_gb", "in no unit of bandwidth"),
        ("ring:8,global_link=4", "global_link", "allowed: global_link_bytes_per_s"),
        ("ring:8,payload=4", "payload", "allowed: payload_bytes"),
        ("ring:8,latency_ns=fast", "latency_ns", "'fast' is not a number"),
        ("ring:8,latency_ns=nan", "latency_ns", "not a finite number"),
        ("ring:8,link_gbytes_per_s=inf", "link_gbytes_per_s", "not a finite number"),
        ("ring:8,link_gbytes_per_s=1e999", "link_gbytes_per_s", "not a finite number"),
        ("ring:8,latency_ns=0", "latency_ns", "must be above 0"),
        ("ring:8,latency_ns=-1", "latency_ns", "must be above 0"),
        ("ring:8,latency_ps=0.5", "latency_ps", "not a whole number"),
        ("ring:8,link_bytes_per_s=1e19", "links.local.rate_bytes_per_s", "out of range"),
        ("ring:8,wire_bytes=300", "links.local.wire_bytes", "cannot occupy 300"),
        ("ring:8,links_per_pair=two", "links_per_pair", "'two' is not a number"),
        ("ring:8,links_per_pair=0", "links_per_pair", "at least 1"),
        ("ring:8,links_per_pair=1.5", "links_per_pair", "not a whole number"),
        ("ring:8,ports=0", "ports", "at least 1"),
        ("ring:8,ports=1", "topology", "needs 2 ports"),
        ("ring:8,ports=4,ports=4", "ports", "'ports' is given twice"),
        ("ring:8,latency_ns=1,latency_us=1", "latency_us", "given already as 'latency_ns'"),
        ("ring:8,chip=groq", "", "no chip is called 'groq'"),
        ("ring:8,reroute=no", "reroute", "not true or false"),
        ("ring:8,failed=0", "failed", "'0' is not a failed link"),
        ("ring:8,failed=0-1+", "failed", "'' is not a failed link"),
        ("ring:8,failed=0-1-1-1", "failed", "'0-1-1-1' is not a failed link"),
        ("ring:8,failed=0-1+1-0", "topology.failed_links.1", "given already in entry 0"),
        ("switched:8,switches=2", "topology", "key 'links_per_chip' is missing"),
        ("full-mesh:8", "topology", "key 'links_per_pair' is missing"),
        ("dragonfly:9x8,links_per_node_pair=0", "topology", "not connected"),
        (
            "dragonfly:9x8,links_per_node_pair=1,rack_cables=mixed",
            "topology.rack_cables",
            "allowed: dealt, scattered",
        ),
        (
            "dragonfly:9x8,links_per_node_pair=1,spare_nodes_per_rack=9",
            "topology.spare_nodes_per_rack",
            "leave none",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_of_the_line(text: str, field: str, words: str) -> None:
    (problem,) = problems(text)
    assert problem.place == (text if len(text) <= 200 else text[:199] + "…")
    assert problem.field.removesuffix(".value") == field
    assert re.search(words, str(problem)), problem


def test_everything_wrong_is_told_at_once() -> None:
    found = problems(
        "torus:4x0,latency=3,wirebytes=4,link_gbytes_per_s=0,chip=grok,links_per_pair=a,"
        "failed=1,reroute=,links_per_pair=2"
    )
    assert [problem.field for problem in found] == [
        "",
        "latency",
        "wirebytes",
        "link_gbytes_per_s",
        "links_per_pair",
        "failed",
        "reroute",
        "links_per_pair",
        "",
    ]
    assert "did you mean 'wire_bytes'" in found[2].suggestion
    assert "no chip is called 'grok'" in found[-1].message
    unknown = problems("rings:8,latency_ns=0,nothing=3")
    assert [problem.field for problem in unknown] == ["", "latency_ns", "nothing"]
    # What was given and is wrong is not said to be missing as well.
    assert len(problems("switched:8,switches=none,links_per_chip=")) == 2


@pytest.mark.parametrize("reference", ["", "groq-246", "nowhere.yaml", "y" * 300 + ".yaml", ","])
def test_what_is_nothing_at_all_gets_a_hint(reference: str) -> None:
    (problem,) = problems(reference)
    assert re.search("no such file|no system is called", problem.message)
    assert "a system in one line looks like ring:8" in problem.suggestion


def test_problems_of_a_file_get_no_hint() -> None:
    Path("bad.yaml").write_text("name: bad\nchip: groq-lpu-v2\n")
    assert "one line" not in str(problems("bad.yaml")[0])


pieces = st.sampled_from(
    [
        *("ring", "torus", "switched", "dragonfly", ":", ":8", ":4x4", "x", ",", "=", "-", "+"),
        *("latency_ns", "link_gbytes_per_s", "failed", "0-1", "reroute", "false", "chip", "ports"),
        *("1", "0", "-3", "1e3", "nan", "inf", "links_per_pair", "groq-lpu-v1", " ", "é", "\0"),
    ]
)


@given(st.lists(pieces, max_size=12).map("".join))
@settings(deadline=None)
def test_no_line_is_a_crash(text: str) -> None:
    try:
        assert load_system(text).name == text
    except InputError as error:
        assert error.problems
