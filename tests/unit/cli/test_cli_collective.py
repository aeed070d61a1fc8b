"""`rack-sim collective`: closed forms in JSON, a table for people, an error for every mistake."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rack_sim.timing.algorithms import ALGORITHMS, OPERATIONS

Cli = Callable[..., Any]
RING = "ring:8,link_gbytes_per_s=25,latency_ns=700"
BOX = "fully-connected:8,link_gbytes_per_s=12.5,latency_ns=700"
RACK = "dragonfly:9x8,links_per_node_pair=1,link_gbytes_per_s=25,latency_ns=700"
MIB = 2**20


def asked(cli: Cli, *arguments: object) -> dict[str, Any]:
    """The answer in JSON; nothing on stderr."""
    code, out, err = cli("collective", *arguments, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def refused(cli: Cli, *arguments: object) -> list[str]:
    """The lines on stderr; nothing on stdout, no traceback."""
    code, out, err = cli("collective", *arguments)
    assert (code, out) == (2, ""), err
    assert "Traceback" not in err
    return err.splitlines()


@pytest.mark.parametrize(
    ("system", "operation", "size", "printed", "time_ps"),
    [
        # Ten shards of 131,072 bytes on the busiest link of a ring of eight.
        (RING, "all_to_all", "1MiB", "53128.8", 700_000 + 10 * MIB // 8 * 40),
        # 64 shards on the one cable between two nodes.
        (RACK, "all_to_all", "9MiB", "336244.32", 700_000 + 64 * 9 * MIB // 72 * 40),
        # A link for every pair: one shard.
        (BOX, "all_gather", "1MiB", "11185.76", 700_000 + MIB // 8 * 80),
    ],
)
def test_to_the_picosecond(
    cli: Cli, system: str, operation: str, size: str, printed: str, time_ps: int
) -> None:
    arguments = (system, "--op", operation, "--algorithm", "direct", "--bytes", size)
    code, out, _ = cli("collective", *arguments, "--no-framing", "--json")
    assert code == 0
    assert f'"time_ns": {printed},' in out, "a decimal, not its binary neighbour"
    (row,) = json.loads(out)["rows"]
    assert row["time_ps"] == time_ps
    assert row["link_latency_ps"] == 700_000
    assert row["link_serialisation_ps"] == row["binding_link"]["busy_ps"] == time_ps - 700_000
    assert row["binding_link"]["share"] == pytest.approx((time_ps - 700_000) / time_ps)


def test_framing_rounds_to_vectors_and_adds_their_overhead(cli: Cli) -> None:
    """131,072 bytes in vectors of 320 that take 328 on the wire at 12.5 GB/s."""
    (row,) = asked(cli, BOX, "--op", "all-gather", "--algorithm", "direct", "--bytes", "1MiB")[
        "rows"
    ]
    assert row["time_ps"] == 700_000 + -(-MIB // 8 // 320) * 328 * 80


@pytest.mark.parametrize("operation", OPERATIONS)
def test_bandwidths_are_those_of_nccl_tests(cli: Cli, operation: str) -> None:
    factors = {"all_reduce": 2 * 7 / 8, "broadcast": 1.0}
    for row in asked(cli, BOX, "--op", operation, "--bytes", "1KiB,1MiB")["rows"]:
        bytes_per_s = row["size_bytes"] * 1e12 / row["time_ps"]
        assert row["algorithm_bytes_per_s"] == pytest.approx(bytes_per_s)
        factor = factors.get(operation, 7 / 8)
        assert row["bus_bytes_per_s"] == pytest.approx(factor * bytes_per_s)


def test_json(cli: Cli) -> None:
    found = asked(cli, "groq-rack-72", "--group", "0-7,64-71", "--bytes", "1KiB..4KiB")
    assert list(found) == [
        "system",
        "operation",
        "algorithm",
        "group",
        "nodes",
        "framing",
        "links",
        "rows",
    ]
    assert (found["system"], found["operation"]) == ("groq-rack-72", "all_reduce")
    assert (found["algorithm"], found["framing"]) == ("auto", True)
    assert found["group"] == [*range(8), *range(64, 72)]
    assert found["nodes"] == [0, 8]
    assert list(found["links"]) == ["local", "global"]
    for link in found["links"].values():
        assert list(link) == ["bytes_per_s", "latency_ps", "payload_bytes", "wire_bytes"]
    assert [row["size_bytes"] for row in found["rows"]] == [1024, 2048, 4096]
    for row in found["rows"]:
        assert list(row) == [
            "size_bytes",
            "algorithm",
            "step_count",
            "time_ps",
            "time_ns",
            "algorithm_bytes_per_s",
            "bus_bytes_per_s",
            "link_latency_ps",
            "link_serialisation_ps",
            "binding_link",
            "not_taken",
        ]
        assert row["link_latency_ps"] + row["link_serialisation_ps"] == row["time_ps"]
        assert row["time_ns"] == row["time_ps"] / 1000
        assert set(row["not_taken"]) | {row["algorithm"]} == set(ALGORITHMS)
        link = row["binding_link"]
        assert list(link) == ["source", "target", "kind", "busy_ps", "share"]
        assert link["kind"] == ("local" if link["source"] // 8 == link["target"] // 8 else "global")
        assert 0 < link["share"] == link["busy_ps"] / row["time_ps"] <= 1


@pytest.mark.parametrize("system", [RING, BOX, "dragonfly:2x4,links_per_node_pair=1"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_auto_is_as_good_as_the_best(cli: Cli, system: str, operation: str) -> None:
    arguments = (system, "--op", operation, "--bytes", "1,1KiB,1MiB")
    chosen = asked(cli, *arguments)["rows"]
    best = [row["time_ps"] for row in chosen]
    seen: list[list[int]] = []
    for algorithm in ALGORITHMS:
        code, out, _ = cli("collective", *arguments, "--algorithm", algorithm, "--json")
        if code == 0:
            seen.append([row["time_ps"] for row in json.loads(out)["rows"]])
        else:
            assert algorithm in chosen[0]["not_taken"], "it says why"
    assert best == [min(times) for times in zip(*seen, strict=True)]


def test_a_number_of_chips_is_the_first_of_them(cli: Cli) -> None:
    arguments = ("groq-rack-72", "--bytes", "1KiB")
    assert asked(cli, *arguments, "--group", 4) == asked(cli, *arguments, "--group", "0-3")
    assert asked(cli, *arguments)["group"] == list(range(64)), "all active chips"


def test_a_file(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.yaml").write_text("""name: own
chip: groq-lpu-v1
topology: {kind: ring, chips: 3}
links:
  local: {rate_gbytes_per_s: 10, latency_ns: 500, payload_bytes: 320, wire_bytes: 320}
host_watts_per_node: 0
""")
    found = asked(cli, "own.yaml", "--op", "broadcast", "--algorithm", "direct", "--bytes", 320)
    assert found["system"] == "own"
    assert found["rows"][0]["time_ps"] == 500_000 + 32_000


# For people ---------------------------------------------------------------------------------------


def test_the_table(cli: Cli) -> None:
    code, out, err = cli("collective", RING, "--op", "all-to-all", "--bytes", "1MiB,64KB")
    assert (code, err) == (0, "")
    for words in (
        f"all_to_all on {RING}",
        "8 chips: 0-7; 1 node: 0",
        "25 GB/s a cable, 700.00 ns, 320 bytes take 328 of the wire",
        "the whole buffer, as in nccl-tests",
        "direct_balanced",
        "64 KB",
    ):
        assert words in out, words
    row = next(line.split() for line in out.splitlines() if line.startswith(" 1 MiB"))
    assert row[2:4] == ["direct_balanced", "1"]
    code, out, _ = cli(
        *("collective", RING, "--op", "all-to-all", "--algorithm", "direct", "--bytes", "1MiB"),
        "--no-framing",
    )
    assert "no framing" in out
    row = next(line.split() for line in out.splitlines() if line.startswith(" 1 MiB"))
    # 1 MiB / 53.1288 us, of which 7/8 cross links.
    assert row[2:] == ["1", "53.129", "19.74", "17.27", "1->0", "local", "98.7%"]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_additions_are_mentioned_where_there_are_any(cli: Cli, operation: str) -> None:
    out = cli("collective", BOX, "--op", operation, "--bytes", "1KiB").out
    assert ("additions" in out) == (operation in ("all_reduce", "reduce_scatter"))


def test_why(cli: Cli) -> None:
    out = cli("collective", "fully-connected:6", "--bytes", "1KiB,1MiB", "--why").out
    why = out[out.index("why direct for 1 MiB") :]
    for algorithm in ALGORITHMS:
        assert f" {algorithm} " in why
    assert "needs a power of two, not 6 chips" in why
    assert "taken" in why
    assert "at least" in why


def test_spare_chips_and_switches_are_pointed_out(cli: Cli) -> None:
    out = cli("collective", "groq-rack-72", "--group", "0,64,71", "--bytes", "1KiB").out
    assert "3 chips: 0,64,71; 2 nodes: 0,8; 2 of them spare" in out
    assert "8-11" in cli("collective", "nvidia-h100-x8", "--bytes", "1KiB").out


def test_what_is_too_large_to_be_tried_is_named(cli: Cli) -> None:
    out = cli("collective", "groq-10440", "--bytes", "1KiB").out
    assert "Not tried" in out
    words = " ".join(out.split())  # wherever the line breaks
    assert "perhaps faster: direct, direct_balanced, ring, two_way_ring, hierarchical." in words
    assert "tree" in out


@pytest.mark.parametrize("columns", [80, 120])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    """The longest names of an algorithm in the table stay whole, chips of three digits."""
    arguments = ["groq-264", "--group", "104-135", "--bytes", "1KiB..1GiB", "--factor", "32"]
    ran = subprocess.run(
        [sys.executable, "-m", "rack_sim", "collective", *arguments, "--why"],
        env={**os.environ, "COLUMNS": str(columns)},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = ran.stdout.splitlines()
    assert max(map(len, lines)) <= columns
    rows = [line.split() for line in lines if line.rstrip().endswith("%")]
    assert len(rows) == 5
    assert all(row[2] in ALGORITHMS for row in rows)


# Mistakes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ring:8", "--op", "allreduce"), "--op: 'allreduce' is not known (did you mean 'all_r"),
        (("ring:8", "--algorithm", "rings"), "--algorithm: 'rings' is not known (did you mean"),
        (("ring:8", "--bytes", "0"), "--bytes: '0' must be at least 1 byte"),
        (("ring:8", "--bytes", "-4"), "--bytes: '-4' must be at least 1 byte"),
        (("ring:8", "--bytes", "nan"), "--bytes: 'nan' is not a size"),
        (("ring:8", "--factor", "1"), "--factor: 1 is no factor from size to size (2 or more)"),
        (("ring:8", "--bytes", "1..1TiB,1..1TiB"), "is more than 64 sizes"),
        (("ring:8", "--group", "9"), "--group: 9 chips are more than the 8 active ones"),
        (("ring:8", "--group", "0,8"), "--group: there is no chip 8"),
        (("ring:8", "--group", "1"), "--group: a collective needs at least two chips"),
        (("ring:8", "--group", "0,0,1"), "--group: chip 0 is named twice"),
        (("nvidia-h100-x8", "--group", "0,8"), "--group: 8 is a switch, not a chip"),
        (("ring:1",), "a collective needs at least two chips: ring:1 has one"),
        (("ring:8", "--algorithm", "ring", "--why"), "--why: there is no choice to explain"),
        (("groq-rack",), "no system is called 'groq-rack' (did you mean 'groq-rack-72'?"),
        (("rang:8",), "kind 'rang' is not known (did you mean 'ring'?)"),
        (("ring:8,link_gbytes_per_s=0",), "'0' is out of range: it must be above 0"),
        (("ring:8,ports=1",), "needs 2 ports on chip 0"),
        (("ring:8,failed=0-1+3-4",), "falls apart without its failed links"),
        (("nope.yaml",), "no such file"),
        (
            ("ring:6", "--algorithm", "halving-doubling"),
            "halving_doubling needs a power of two, not 6 chips (these fit: direct, ",
        ),
        (
            ("ring:6", "--algorithm", "tree", "--op", "all_to_all"),
            "a tree has no all_to_all: everything would pass its root (these fit: direct, ",
        ),
        (
            ("ring:8", "--algorithm", "hierarchical"),
            "hierarchical needs two or more nodes with the same number of chips each",
        ),
        (
            ("groq-10440", "--op", "all_to_all"),
            "all_to_all over 10,440 chips has too many transfers to be placed (at most 400,000 "
            "are; a --group of up to 632 chips)",
        ),
        (
            ("groq-10440", "--algorithm", "direct", "--bytes", "1KiB"),
            "direct over 10,440 chips has about 217,987,200 transfers, too many to place (these "
            "fit: tree)",
        ),
    ],
)
def test_mistakes(cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    (line,) = refused(cli, *arguments)
    assert line.startswith("error: ")
    assert message in line


def test_all_mistakes_at_once(cli: Cli) -> None:
    lines = refused(
        cli, "ring:8", "--op", "x", "--algorithm", "y", "--bytes", "z", "--group", 1, "--factor", 0
    )
    places = [line.split(": ")[1] for line in lines[:-1]]
    assert places == ["--op", "--algorithm", "--factor", "--bytes", "--group"]
    assert lines[-1] == "5 problems"


def test_routes_over_a_failed_link(cli: Cli) -> None:
    """Refused where nothing is rerouted; else the one link left is the way round."""
    lines = refused(cli, "ring:8,failed=3-4,reroute=false", "--bytes", "1KiB")
    assert "route 0 -> 4 crosses the failed link 3 -> 4" in lines[0]
    # Eight routes are named, the others, of all algorithms, are counted.
    assert lines[-2].startswith("error: and ")
    assert lines[-2].endswith(" more like these")
    assert lines[-1] == "9 problems"
    arguments = ("--op", "broadcast", "--algorithm", "direct", "--bytes", 320, "--no-framing")
    healthy, broken = (
        asked(cli, f"{RING}{failed}", "--group", "0,7", *arguments)["rows"][0]
        for failed in ("", ",failed=0-7")
    )
    assert healthy["time_ps"] == 700_000 + 320 * 40
    # A byte is taken in before it is passed on, six times.
    assert broken["time_ps"] == 7 * 700_000 + 320 * 40 + 6 * 40


def test_without_sizes_each_power_of_two_from_1_kib_to_1_gib_is_timed(cli: Cli) -> None:
    sizes = [row["size_bytes"] for row in asked(cli, RING)["rows"]]
    assert sizes == [2**power for power in range(10, 31)]


def test_interrupted(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    # The attribute of that name of `rack_sim.cli` is the command, a function.
    module = importlib.import_module("rack_sim.cli.collective")
    monkeypatch.setattr(module, "time_sizes", interrupted)
    assert cli("collective", "ring:8") == (130, "", "interrupted\n")


@pytest.mark.slow
def test_ctrl_c_while_a_large_group_is_timed() -> None:
    """Ctrl-C comes 0.2 s after the timing has begun, however long it took to get there."""
    # A test run in the background of a shell passes on that it ignores Ctrl-C.
    run = """
import importlib, os, signal, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
module = importlib.import_module("rack_sim.cli.collective")
timed = module.time_sizes
def begun(*given, **named):
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    return timed(*given, **named)
module.time_sizes = begun
from rack_sim.__main__ import main
main()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", run, "collective", "groq-264"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (130, "", "interrupted\n")
