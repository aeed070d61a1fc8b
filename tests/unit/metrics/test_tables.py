"""Rows of the files: exact cells, one per thing, and nothing lost between them."""

import csv
from collections import Counter
from collections.abc import Callable

import pytest

from rack_sim.compiler.slots import SlotTiming
from rack_sim.compiler.step import StepTiming
from rack_sim.compiler.traffic import TRAFFICS
from rack_sim.engine.fleet import FleetPlan
from rack_sim.engine.observer import Outcome
from rack_sim.engine.policies import StaticSlotsPolicy
from rack_sim.engine.policies.replica import Admission, ReplicaBooks
from rack_sim.engine.serving import ReplayTotals
from rack_sim.engine.timeline import COLUMNS as TIMELINE_COLUMNS
from rack_sim.metrics.columns import (
    CHIPS,
    CRITICAL_PATH,
    FILES,
    LINKS,
    MEMORY,
    REQUESTS,
    STAGES,
    TIMELINE,
)
from rack_sim.metrics.critical_path import critical_path_rows, shares, stretches
from rack_sim.metrics.link_table import link_lines
from rack_sim.metrics.log import ColumnLog, RequestLog
from rack_sim.metrics.tables import (
    chip_rows,
    memory_rows,
    outcome_reasons,
    request_lines,
    stage_rows,
    timeline_lines,
)

STEPS = 1000


def totals_of(step: StepTiming, others: int = 0) -> ReplayTotals:
    """A second in which the first replica had `STEPS` busy steps, and others twice as many."""
    books = [ReplicaBooks(0, busy_ps=STEPS * step.interval_ps)]
    books += [ReplicaBooks(1 + n, busy_ps=2 * STEPS * step.interval_ps) for n in range(others)]
    steps = STEPS * (1 + 2 * others)
    return ReplayTotals(10**12, 3, busy_step_count=steps, row_step_count=steps, replicas=books)


def named(columns: tuple, rows: object) -> list[dict[str, str]]:
    names = [column.name for column in columns]
    return [dict(zip(names, row, strict=True)) for row in rows]


def test_requests(request_row: Callable[..., tuple[int, ...]]) -> None:
    rows = [
        {"arrival_ps": 1, "input_tokens": 5, "output_tokens": 3, "admitted_ps": 2,
         "prefill_start_ps": 3, "prefill_end_ps": 900_000_004,
         "first_token_ps": 1_000_000_001, "finish_ps": 3_000_000_001, "slot": 6, "replica": 8,
         "prefill_replica": 7, "transfer_ps": 250, "preemptions": 9, "hit_tokens": 4,
         "accepted_draft_tokens": 1},
        {"arrival_ps": 7, "input_tokens": 500, "output_tokens": 3, "replica": 2,
         "outcome": Outcome.REJECTED_CONTEXT},
        {"arrival_ps": 0, "input_tokens": 5, "output_tokens": 1, "admitted_ps": 0,
         "prefill_start_ps": 0, "prefill_end_ps": 0, "first_token_ps": 5, "finish_ps": 5},
        {"arrival_ps": 0, "input_tokens": 6, "output_tokens": 1, "admitted_ps": 0,
         "outcome": Outcome.TIMED_OUT},
        {"arrival_ps": 0, "input_tokens": 7, "output_tokens": 1, "outcome": Outcome.REJECTED_QUEUE},
    ]  # fmt: skip
    log = RequestLog()
    for number, row in enumerate(rows):
        log.add(request_row(request_id=number, **row))
    timing = SlotTiming(1, 4, 10, 35, context_tokens=64, kv_tokens=100)
    admission = Admission(queue_limit=20, timeout_ps=2_500_000_000)
    fleet = FleetPlan(timing, StaticSlotsPolicy(), admission=admission)
    lines = request_lines(log, outcome_reasons(fleet))
    first, second, third, fourth, fifth = named(REQUESTS, csv.reader(lines))
    assert (first["replica"], first["prefill_replica"], first["preemption_count"]) == tuple("879")
    assert (first["cached_tokens"], first["accepted_draft_tokens"]) == ("4", "1")
    assert first["queue_ms"] == "0.000000001"
    assert first["prefill_ms"] == "0.900000001"
    assert first["transfer_ms"] == "0.000000250"
    assert (third["slot"], third["prefill_replica"]) == ("", ""), "a chip without slots has none"
    assert (second["replica"], second["queue_ms"], second["cached_tokens"]) == ("2", "", "")
    assert (fourth["status"], fourth["reason"]) == (
        "timed_out",
        "not finished 2.5 ms after its arrival",
    )
    assert (fifth["status"], fifth["reason"]) == ("rejected", "20 requests waited already")
    assert first["status"] == "finished"
    assert first["arrival_ms"] == "0.000000001"
    assert first["ttft_ms"] == "1.000000000"
    assert first["tpot_ms"] == "1.000000000"
    assert first["e2el_ms"] == "3.000000000"
    assert first["ntpot_ms"] == "1.000000000"
    assert (first["slot"], first["reason"]) == ("6", "")
    assert second["status"] == "rejected"
    assert "longest context of 64" in second["reason"]
    assert (second["ttft_ms"], second["slot"], second["input_tokens"]) == ("", "", "500")
    assert (third["tpot_ms"], third["ttft_ms"]) == ("", "0.000000005")


def test_the_timeline_gives_means_over_bins(step: StepTiming) -> None:
    bins = ColumnLog(TIMELINE_COLUMNS)
    bins.append((1, 0, 3, 2, 30, 4, 5, 40, 500, 1500, 250_000))
    bins.append((0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0))
    first, second = named(TIMELINE, csv.reader(timeline_lines(bins, 1000)))
    counts = [first[name] for name in TIMELINE_COLUMNS[:8]]
    assert counts == ["1", "0", "3", "2", "30", "4", "5", "40"]
    assert (first["start_s"], second["start_s"]) == ("0.000000", "0.000000")
    assert first["waiting_mean"] == "0.500000000"
    assert first["running_mean"] == "1.500000000"
    assert first["kv_reserved_tokens_mean"] == "250.000000000"
    assert second["running_mean"] == "0.001000000"


def test_stages_split_their_service_exactly(step: StepTiming) -> None:
    rows = named(STAGES, stage_rows(step, totals_of(step, others=1)))
    assert [row["stage"] for row in rows] == ["0", "1"]
    for row, timing in zip(rows, step.stages, strict=True):
        parts = (
            "fixed_latency", "compute", "weight_feed", "memory",
            "link_latency", "link_serialisation",
        )  # fmt: skip
        picoseconds = [int(row[f"{part}_ms"].replace(".", "")) for part in parts]
        assert sum(picoseconds) == timing.service_ps
        assert int(row["service_ms"].replace(".", "")) == timing.service_ps
        share = timing.service_ps * 1000 / 10**12
        # Nine decimals.
        assert float(row["utilisation"]) == pytest.approx(share, abs=1e-9)


def test_chips_have_their_roles(step: StepTiming) -> None:
    rows = named(CHIPS, chip_rows(step, totals_of(step)))
    assert [row["role"] for row in rows] == ["stage"] * 4 + ["spare"] * 2
    assert [row["node"] for row in rows] == list("001122")
    assert rows[4]["used_bytes"] == "0"


def test_memory_adds_up(step: StepTiming) -> None:
    rows = named(MEMORY, memory_rows(step))
    assert len(rows) == 4
    kinds = ("weight", "kv", "activation", "program", "free")
    for row in rows:
        assert sum(int(row[f"{kind}_bytes"]) for kind in kinds) == int(row["capacity_bytes"])
    assert sum(int(row["weight_bytes"]) for row in rows) == step.plan.weight_bytes


@pytest.mark.parametrize("machine", ["step", "wide_step"])
def test_parallel_cables_share_all_vectors_and_no_more(
    machine: str, request: pytest.FixtureRequest
) -> None:
    """What the links of a pair of chips carry together is what the step sends between them."""
    compiled: StepTiming = request.getfixturevalue(machine)
    rows = named(LINKS, csv.reader(link_lines(compiled, totals_of(compiled, others=1))))
    assert len(rows) == len(compiled.plan.system.topology.links)
    carried: Counter[tuple[int, int]] = Counter()
    for row in rows:
        carried[int(row["source_chip"]), int(row["target_chip"])] += int(row["step_vectors"])
        assert int(row["payload_bytes"]) == 320 * 1000 * int(row["step_vectors"])
    assert +carried == Counter(compiled.vectors_by_hop)


def test_the_wide_machine_does_have_uneven_shares(wide_step: StepTiming) -> None:
    """Else the test above could not fail there."""
    routing = wide_step.plan.routing
    lanes = {hop: routing.lane_count(hop) for hop in wide_step.vectors_by_hop}
    assert any(count > 1 for count in lanes.values())
    assert any(wide_step.vectors_by_hop[hop] % count for hop, count in lanes.items())


def test_a_column_is_named_once_and_defined() -> None:
    for columns in FILES.values():
        assert len({column.name for column in columns}) == len(columns)
        assert all(column.definition for column in columns)


@pytest.mark.parametrize("machine", ["step", "wide_step"])
def test_links_by_traffic_add_up_to_their_totals(
    machine: str, request: pytest.FixtureRequest
) -> None:
    """For every cable: vectors to the vector, busy time to the picosecond."""
    compiled: StepTiming = request.getfixturevalue(machine)
    rows = named(LINKS, csv.reader(link_lines(compiled, totals_of(compiled, others=1))))
    carried: Counter[str] = Counter()
    for row in rows:
        vectors = {kind: int(row[f"{kind}_step_vectors"]) for kind in TRAFFICS}
        assert sum(vectors.values()) == int(row["step_vectors"])
        assert min(vectors.values()) >= 0
        busy_ps = [int(row[f"{kind}_step_busy_ms"].replace(".", "")) for kind in TRAFFICS]
        assert min(busy_ps) >= 0
        assert sum(busy_ps) * STEPS == int(row["busy_ms"].replace(".", ""))
        carried.update(vectors)
    sent: Counter[str] = Counter()
    for part in compiled.program.parts:
        for task in part.placed.tasks:
            if task.traffic:
                sent[task.traffic] += task.vectors
    assert +carried == sent
    assert carried["gather"] and carried["transfer"] and carried["token"]


def test_the_critical_path_tiles_the_latency(step: StepTiming) -> None:
    """Every task begins when the time of those before it is over; causes split it exactly."""
    rows = named(CRITICAL_PATH, critical_path_rows(step.program))
    now_ps = 0
    for number, row in enumerate(rows):
        times = {
            name.removesuffix("_ms"): int(cell.replace(".", ""))
            for name, cell in row.items()
            if name.endswith("_ms")
        }
        assert int(row["order"]) == number
        assert times.pop("start") == now_ps
        spent_ps = times.pop("time")
        assert sum(times.values()) == spent_ps
        assert (row["target_chip"] != "") == (row["unit"] == "link")
        now_ps += spent_ps
    assert now_ps == step.latency_ps


def test_shares_and_stretches_are_the_critical_path(step: StepTiming) -> None:
    """Nothing is lost where tasks are put together."""
    path = list(step.program.critical_path())
    found = shares(step.program)
    assert sum(share.spent_ps for share in found) == step.latency_ps
    assert sum(share.task_count for share in found) == len(path)
    assert [share.spent_ps for share in found] == sorted(
        (share.spent_ps for share in found), reverse=True
    )
    joined = list(stretches(step.program))
    assert sum(stretch.task_count for stretch in joined) == len(path)
    assert sum(stretch.terms.total_ps for stretch in joined) == step.latency_ps
    assert joined[0].start_ps == 0
