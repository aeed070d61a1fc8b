"""What iterations written by hand took, by cause, on links, on chips and for a token."""

import csv
from collections.abc import Mapping
from fractions import Fraction

import pytest

from rack_sim.compiler.batches import BatchMachine, BatchTotals, IterationCount
from rack_sim.compiler.machine import TokenGaps
from rack_sim.engine.fleet import Disaggregation, FleetPlan
from rack_sim.engine.policies import ContinuousBatchingPolicy
from rack_sim.engine.policies.replica import ReplicaBooks
from rack_sim.engine.serving import ReplayTotals
from rack_sim.engine.transfers import TransferPath
from rack_sim.metrics.columns import CHIPS, ITERATIONS, LINKS, MEMORY, REPLICAS
from rack_sim.metrics.link_table import link_lines
from rack_sim.metrics.tables import chip_rows, iteration_rows, memory_rows, replica_rows
from rack_sim.metrics.token_split import token_split_ps
from rack_sim.metrics.work import busy_chip_ps, work_chip_ps

S = 10**12
ATTENTION_PS = {"compute": 1000, "memory": 2000, "weight_feed": 300}
ATTENTION_TOKEN_PS = {"compute": 1500, "memory": 2500, "weight_feed": 700}
DRAFT_PS, DRAFT_TOKEN_PS = 777, 333
# rows, sampled rows -> iterations, and sequences that decoded in each
ITERATIONS_RUN = {(4, 2): (3, 2), (6, 0): (1, 0)}


def batches_of(machine: BatchMachine, attention: Mapping[str, int] = ATTENTION_PS) -> BatchTotals:
    """Three iterations of four rows, two of them sampled, and one of six rows of a prompt."""
    totals = BatchTotals.nothing(0)
    for (rows, sampled), (count, decoding) in ITERATIONS_RUN.items():
        spent = count * machine.timer.base_ps(rows, sampled)
        counted = IterationCount(count, count * decoding, count * sampled, spent)
        totals.by_rows[rows] = counted
        totals.by_sampled[sampled] = counted
        totals.base_ps += spent
        totals.base_token_ps += decoding * spent
    roofs = [roof.name for roof in machine.timer.roofs]
    assert sorted(roofs) == sorted(attention), "one roof each"
    totals.attention_ps = [attention[name] for name in roofs]
    totals.attention_token_ps = [ATTENTION_TOKEN_PS[name] for name in roofs]
    totals.draft_ps, totals.draft_token_ps = DRAFT_PS, DRAFT_TOKEN_PS
    return totals


def totals_of(machine: BatchMachine, *, idle_ps: int = 0) -> ReplayTotals:
    """Two replicas: all iterations, then `idle_ps` more that nothing explains."""
    batches = batches_of(machine)
    whole_ps = batches.base_ps + sum(ATTENTION_PS.values()) + DRAFT_PS
    books = (ReplicaBooks(0, busy_ps=whole_ps - 5), ReplicaBooks(1, busy_ps=5 + idle_ps))
    return ReplayTotals(S, 1, 0, 0, replicas=books, batches=batches, first_batches=batches)


def base_by_name(machine: BatchMachine) -> dict[str, int]:
    """The bases of all iterations, each split by itself."""
    spent: dict[str, int] = {}
    for (rows, sampled), (count, _) in ITERATIONS_RUN.items():
        for name, ps in machine.timer.base_terms(rows, sampled).by_name().items():
            spent[name] = spent.get(name, 0) + count * ps
    return spent


def test_iterations_take_their_bases_and_what_attention_takes(reactive: BatchMachine) -> None:
    """The last norm counts as memory, whatever binds it: the two are compared together."""
    found = reactive.iteration_ps_by_term(batches_of(reactive))
    base = base_by_name(reactive)
    for name in ("fixed_latency", "link_latency", "link_serialisation", "slack"):
        assert found[name] == base[name]
    assert found["weight_feed"] == base["weight_feed"] + 300
    assert found["compute"] + found["memory"] == base["compute"] + base["memory"] + 1000 + 2000
    without = reactive.iteration_ps_by_term(batches_of(reactive, dict.fromkeys(ATTENTION_PS, 0)))
    assert {name: ps - without[name] for name, ps in found.items() if ps != without[name]} == (
        ATTENTION_PS
    )


def test_work_by_class_counts_every_chip(reactive: BatchMachine) -> None:
    """Four chips; the draft is what no class explains."""
    totals = totals_of(reactive)
    spent = reactive.iteration_ps_by_term(totals.batches)
    assert work_chip_ps(reactive, totals) == {
        "compute": 4 * spent["compute"],
        "memory": 4 * (spent["memory"] + spent["weight_feed"]),
        "link": 4 * spent["link_serialisation"],
        "waiting": 4 * (spent["fixed_latency"] + spent["link_latency"]),
        "other": 4 * DRAFT_PS,
    }
    assert busy_chip_ps(reactive, totals) == 4 * (sum(spent.values()) + DRAFT_PS)
    more = work_chip_ps(reactive, totals_of(reactive, idle_ps=10))
    assert more["other"] == 4 * (DRAFT_PS + 10)


def test_replicas_that_count_no_iterations_are_busy_with_other_things(
    reactive: BatchMachine,
) -> None:
    totals = ReplayTotals(S, 1, 0, 0, replicas=(ReplicaBooks(0, busy_ps=7),))
    work = work_chip_ps(reactive, totals)
    assert work == dict.fromkeys(("compute", "memory", "link", "waiting"), 0) | {"other": 4 * 7}


def split(reactive: BatchMachine, totals: ReplayTotals, gap_count: int = 5) -> dict[str, Fraction]:
    fleet = FleetPlan(reactive.timing, ContinuousBatchingPolicy())
    return token_split_ps(reactive, fleet, totals, Fraction(S), TokenGaps(gap_count, 1))


def test_a_token_waits_for_the_iterations_it_was_in(reactive: BatchMachine) -> None:
    """Two sequences in three iterations: each counts twice, the prompt's own not at all."""
    found = split(reactive, totals_of(reactive))
    base = reactive.timer.base_terms(4, 2).by_name()
    for name in ("fixed_latency", "link_latency", "link_serialisation"):
        assert found[name] == Fraction(6 * base[name], 5)
    assert found["weight_feed"] == Fraction(6 * base["weight_feed"] + 700, 5)
    assert found["compute"] + found["memory"] == Fraction(
        6 * (base["compute"] + base["memory"]) + 1500 + 2500, 5
    )
    assert found["draft"] == Fraction(DRAFT_TOKEN_PS, 5)
    assert sum(found.values()) == S
    assert found["slack"] == S - Fraction(
        6 * reactive.timer.base_ps(4, 2) + sum(ATTENTION_TOKEN_PS.values()) + DRAFT_TOKEN_PS, 5
    )


def test_nothing_decoded_or_counted_is_no_split(reactive: BatchMachine) -> None:
    totals = totals_of(reactive)
    uncounted = ReplayTotals(S, 1, 0, 0, replicas=totals.replicas)
    assert split(reactive, totals, gap_count=0) == {}
    assert split(reactive, uncounted) == {}


def test_iterations_by_their_rows(reactive: BatchMachine) -> None:
    names = [column.name for column in ITERATIONS]
    four, six = (dict(zip(names, row, strict=True)) for row in iteration_rows(totals_of(reactive)))
    assert (four["rows"], four["iteration_count"]) == ("4", "3")
    assert (four["decoding_mean"], four["sampled_mean"]) == ("2.000000000", "2.000000000")
    assert int(four["time_ms_mean"].replace(".", "")) == reactive.timer.base_ps(4, 2)
    assert (six["rows"], six["iteration_count"]) == ("6", "1")
    assert (six["decoding_mean"], six["sampled_mean"]) == ("0.000000000", "0.000000000")
    assert list(iteration_rows(ReplayTotals(S, 1, 0, 0))) == []


@pytest.mark.parametrize(("spent_ps", "mean"), [(7, "4"), (6, "3"), (5, "3"), (2, "1"), (1, "1")])
def test_mean_times_are_rounded_to_the_nearest_half_up(spent_ps: int, mean: str) -> None:
    counted = BatchTotals({1: IterationCount(2, 0, 0, spent_ps)}, {}, [], [])
    (row,) = iteration_rows(ReplayTotals(S, 1, 0, 0, batches=counted))
    assert row[-1] == f"0.00000000{mean}"


def links(machine: BatchMachine, totals: ReplayTotals, fleet: FleetPlan | None = None) -> list:
    names = [column.name for column in LINKS]
    return [
        dict(zip(names, row, strict=True)) for row in csv.reader(link_lines(machine, totals, fleet))
    ]


def hop_of(row: Mapping[str, str]) -> tuple[int, int]:
    return int(row["source_chip"]), int(row["target_chip"])


def test_links_carry_what_iterations_sent(reactive: BatchMachine) -> None:
    """Vectors of 320 bytes, dealt over parallel cables; each cable is held by all messages."""
    totals = totals_of(reactive)
    rows = links(reactive, totals)
    cables = reactive.plan.system.topology.links
    assert [(*hop_of(row), int(row["lane"]), row["kind"]) for row in rows] == sorted(cables)
    routing, timer = reactive.plan.routing, reactive.timer
    lanes_met = set()
    for row in rows:
        hop = hop_of(row)
        vectors = busy_ps = 0
        for (carried, sampled), (count, _) in ITERATIONS_RUN.items():
            vectors += count * timer.vectors_by_hop(carried, sampled).get(hop, 0)
            busy_ps += count * timer.link_busy_ps(carried, sampled).get(hop, 0)
        lanes = routing.lane_count(hop)
        lanes_met.add(lanes)
        assert int(row["payload_bytes"]) == vectors * 320 // lanes
        assert int(row["busy_ms"].replace(".", "")) == busy_ps
        assert float(row["utilisation"]) == pytest.approx(busy_ps / S, abs=0.5e-9)
        others = [cell for name, cell in row.items() if name.endswith(("vectors", "_step_busy_ms"))]
        assert len(others) > 2 and set(others) == {""}, "no steps, no traffic by kind"
    assert lanes_met == {1, 2}
    assert any(row["payload_bytes"] == "0" for row in rows), "those of the spare node"


def test_idle_links_carry_nothing(reactive: BatchMachine) -> None:
    for totals in (ReplayTotals(S, 0, 0, 0), ReplayTotals(0, 0, 0, 0)):
        for row in links(reactive, totals):
            assert (row["payload_bytes"], row["busy_ms"]) == ("0", "0.000000000")
            assert row["utilisation"] == ("0.000000000" if totals.end_ps else "")


def test_caches_on_their_way_hold_every_cable(reactive: BatchMachine) -> None:
    """5,000 bytes at 1 GB/s, three quarters of them over one link: its two cables share them."""
    path = TransferPath(
        links=(0,),
        latency_ps=9,
        bytes_per_s=10**9,
        hops=((0, 2), (0, 1)),
        hop_shares=(Fraction(3, 4), Fraction(1, 4)),
    )
    fleet = FleetPlan(
        reactive.timing,
        ContinuousBatchingPolicy(),
        replica_count=2,
        disaggregation=Disaggregation(1, {(0, 1): path}),
    )
    assert [reactive.plan.routing.lane_count(hop) for hop in path.hops] == [2, 1]
    totals = ReplayTotals(S, 1, 0, 0, transfers={(0, 1): (3, 5000)})
    rows = links(reactive, totals, fleet)
    held = {
        (*hop_of(row), int(row["lane"])): (int(row["payload_bytes"]), row["busy_ms"])
        for row in rows
        if row["busy_ms"] != "0.000000000"
    }
    first, second = ((0, 2), 3750 // 2), ((0, 1), 1250)
    assert {ends[:2] for ends in held} == {first[0], second[0]}
    assert len(held) == 2 + 1
    for ends, (payload_bytes, busy_ms) in held.items():
        assert payload_bytes == dict([first, second])[ends[:2]]
        assert busy_ms == "0.005000000"
    both = links(reactive, ReplayTotals(S, 1, 0, 0, first_batches=batches_of(reactive)), None)
    whole = ReplayTotals(
        S, 1, 0, 0, first_batches=batches_of(reactive), transfers={(0, 1): (3, 5000)}
    )
    for row, plain in zip(links(reactive, whole, fleet), both, strict=True):
        extra = int(row["payload_bytes"]) - int(plain["payload_bytes"])
        assert extra == dict([first, second]).get(hop_of(row), 0)


def test_chips_of_a_replica_are_busy_together(reactive: BatchMachine) -> None:
    names = [column.name for column in CHIPS]
    totals = ReplayTotals(S, 1, 0, 0, replicas=(ReplicaBooks(0, busy_ps=S // 4),))
    rows = [dict(zip(names, row, strict=True)) for row in chip_rows(reactive, totals)]
    assert [row["role"] for row in rows] == ["stage"] * 4 + ["spare"] * 2
    assert [row["stage"] for row in rows] == ["0", "0", "1", "1", "", ""]
    assert [row["utilisation"] for row in rows] == ["0.250000000"] * 4 + ["0.000000000"] * 2
    assert [row["used_bytes"] for row in rows] == [str(reactive.used_bytes_max)] * 4 + ["0"] * 2
    assert {row["step_busy_ms"] for row in rows[:4]} == {""}
    assert {row["step_busy_ms"] for row in rows[4:]} == {"0.000000000"}
    nothing = ReplayTotals(10, 0, 0, 0)  # of ten picoseconds each would show
    nobody = [dict(zip(names, row, strict=True)) for row in chip_rows(reactive, nothing)]
    assert {row["utilisation"] for row in nobody} == {"0.000000000"}


def test_memory_of_a_chip_adds_up_to_what_it_has(reactive: BatchMachine) -> None:
    names = [column.name for column in MEMORY]
    rows = [dict(zip(names, row, strict=True)) for row in memory_rows(reactive)]
    sizes = reactive.chip_bytes
    assert [row["chip"] for row in rows] == list("0123")
    weights = [memory.weight_bytes for stage in reactive.plan.stages for memory in stage.memory]
    assert [int(row["weight_bytes"]) for row in rows] == weights, "no draft beside them"
    for row in rows:
        assert int(row["kv_bytes"]) == sizes["kv_cache"]
        assert int(row["activation_bytes"]) == sizes["activations"]
        kinds = ("weight", "kv", "activation", "program", "free")
        assert sum(int(row[f"{kind}_bytes"]) for kind in kinds) == int(row["capacity_bytes"])
        assert {row[f"{kind}_tier"] for kind in ("weight", "kv", "activation")} == {"sram"}


def test_the_weights_of_a_draft_lie_on_the_first_stage(reactive: BatchMachine) -> None:
    """Of a draft of 1,000 bytes a chip the fullest chip has so much more than its part of ours."""
    sizes = dict(reactive.chip_bytes)
    fullest = max(memory.weight_bytes for s in reactive.plan.stages for memory in s.memory)
    machine = BatchMachine(
        reactive.plan, reactive.timer, reactive.timing, sizes | {"weights": fullest + 1000}
    )
    names = [column.name for column in MEMORY]
    rows = [dict(zip(names, row, strict=True)) for row in memory_rows(machine)]
    weights = [memory.weight_bytes for s in reactive.plan.stages for memory in s.memory]
    more = [int(row["weight_bytes"]) - own for row, own in zip(rows, weights, strict=True)]
    assert more == [1000, 1000, 0, 0]


def test_replicas_tell_their_books() -> None:
    """Every number another, so that none stands in the place of another."""
    numbers = dict(
        zip(
            (
                "request_count", "finished_count", "rejected_count", "timed_out_count",
                "prompt_tokens", "cached_tokens", "recomputed_tokens", "output_tokens",
                "draft_tokens", "accepted_draft_tokens", "preemptions", "transfer_count",
                "transfer_bytes", "running_max", "waiting_max", "kv_tokens_max",
                "parked_tokens_max", "kv_tokens",
            ),
            range(10, 30),
            strict=False,
        )
    )  # fmt: skip
    books = [
        ReplicaBooks(3, "prefill", **numbers, busy_ps=S // 8, end_ps=5),
        ReplicaBooks(4, busy_ps=2 * S),
    ]
    names = [column.name for column in REPLICAS]
    first, second = (
        dict(zip(names, row, strict=True))
        for row in replica_rows(ReplayTotals(S, 1, 0, 0, replicas=books))
    )
    renamed = {
        "preemptions": "preemption_count",
        "parked_tokens_max": "kv_parked_tokens_max",
        "kv_tokens": "kv_capacity_tokens",
    }
    for name, value in numbers.items():
        assert first[renamed.get(name, name)] == str(value)
    assert (first["replica"], first["role"]) == ("3", "prefill")
    assert (first["busy_ms"], first["utilisation"]) == ("125.000000000", "0.125000000")
    assert first["last_end_ms"] == "0.000000005"
    assert (second["replica"], second["role"], second["utilisation"]) == (
        "4",
        "both",
        "1.000000000",
    )
