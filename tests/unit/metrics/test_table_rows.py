"""Rows of requests, bins, stages and chips at their bounds: zero is a value, unset is empty."""

import csv
from collections.abc import Callable
from dataclasses import replace

import pytest

from rack_sim.compiler.slots import SlotTiming
from rack_sim.compiler.step import StepTiming
from rack_sim.engine.fleet import FleetPlan
from rack_sim.engine.observer import Outcome
from rack_sim.engine.policies import StaticSlotsPolicy
from rack_sim.engine.policies.replica import Admission, ReplicaBooks
from rack_sim.engine.serving import ReplayTotals
from rack_sim.engine.timeline import COLUMNS as TIMELINE_COLUMNS
from rack_sim.hardware.builders import dragonfly
from rack_sim.hardware.link import LinkType
from rack_sim.metrics.columns import CHIPS, LINKS, REQUESTS, STAGES, TIMELINE
from rack_sim.metrics.link_table import link_lines
from rack_sim.metrics.log import ColumnLog, RequestLog
from rack_sim.metrics.tables import (
    chip_rows,
    outcome_reasons,
    request_lines,
    stage_rows,
    timeline_lines,
)

S = 10**12
BLOCK_ROWS = 2**14
TIMING = SlotTiming(1, 4, 10, 35, context_tokens=64, kv_tokens=100)
REASONS = {outcome: f"reason {outcome.value}" for outcome in Outcome}


def named(columns: tuple, rows: object) -> list[dict[str, str]]:
    names = [column.name for column in columns]
    return [dict(zip(names, row, strict=True)) for row in rows]


Row = Callable[..., tuple[int, ...]]


def cells(request_row: Row, *rows: dict[str, int]) -> list[dict[str, str]]:
    log = RequestLog()
    for number, row in enumerate(rows):
        log.add(request_row(request_id=number, **row))
    return named(REQUESTS, csv.reader(request_lines(log, REASONS)))


def test_a_request_that_was_given_up_shows_how_far_it_came(request_row: Row) -> None:
    """At picosecond 0 in slot 0 of replica 0 is somewhere; what it never had is empty."""
    zero = {"admitted_ps": 0, "prefill_start_ps": 0, "prefill_end_ps": 0, "first_token_ps": 0}
    far, nowhere, counted = cells(
        request_row,
        zero | {"outcome": Outcome.TIMED_OUT, "arrival_ps": 0, "slot": 0, "prefill_replica": 0,
                "decode_wait_ps": 0},
        {"outcome": Outcome.TIMED_OUT, "arrival_ps": 5, "decode_wait_ps": 0, "replica": -1},
        {"outcome": Outcome.TIMED_OUT, "arrival_ps": 5, "admitted_ps": 12, "prefill_start_ps": 20,
         "prefill_end_ps": 33, "decode_wait_ps": 4, "transfer_ps": 6, "preemptions": 7,
         "hit_tokens": 8, "accepted_draft_tokens": 9, "input_tokens": 10, "output_tokens": 11},
    )  # fmt: skip
    nothing, instant = "", "0.000000000"
    times = ("admitted_ms", "prefill_start_ms", "prefill_end_ms", "first_token_ms")
    assert [far[name] for name in (*times, "finish_ms")] == [instant] * 4 + [nothing]
    assert [nowhere[name] for name in (*times, "finish_ms")] == [nothing] * 5
    places = ("slot", "replica", "prefill_replica")
    assert [far[name] for name in places] == ["0", "0", "0"]
    assert [nowhere[name] for name in places] == [nothing] * 3
    spans = ("queue_ms", "prefill_ms", "decode_queue_ms", "transfer_ms")
    assert [far[name] for name in spans] == [instant, instant, nothing, nothing]
    assert [nowhere[name] for name in spans] == [nothing] * 4
    assert [counted[name] for name in spans] == [
        f"0.0000000{spent_ps:02d}" for spent_ps in (7, 13, 4, 6)
    ]
    counts = ("preemption_count", "cached_tokens", "accepted_draft_tokens")
    assert [counted[name] for name in counts] == ["7", "8", "9"]
    assert [nowhere[name] for name in counts] == ["0", "0", "0"]
    assert (counted["input_tokens"], counted["output_tokens"]) == ("10", "11")
    for row in (far, nowhere, counted):
        assert (row["status"], row["reason"]) == ("timed_out", "reason 4")
        for metric in ("ttft", "tpot", "e2el", "scheduling_delay", "ntpot"):
            assert row[f"{metric}_ms"] == nothing


def test_a_request_that_was_rejected_has_no_counts(request_row: Row) -> None:
    (row,) = cells(request_row, {"outcome": Outcome.REJECTED_QUEUE, "decode_wait_ps": 0})
    counts = ("preemption_count", "cached_tokens", "accepted_draft_tokens")
    assert [row[name] for name in counts] == ["", "", ""]
    assert (row["status"], row["reason"]) == ("rejected", "reason 3")


def test_a_finished_request_tells_every_time_and_number(request_row: Row) -> None:
    (row,) = cells(
        request_row,
        {"arrival_ps": 1, "input_tokens": 2, "output_tokens": 3, "admitted_ps": 10,
         "prefill_start_ps": 20, "prefill_end_ps": 33, "first_token_ps": 50, "finish_ps": 91,
         "slot": 0, "replica": 6, "prefill_replica": 7, "decode_wait_ps": 8, "transfer_ps": 9,
         "preemptions": 4, "hit_tokens": 5, "accepted_draft_tokens": 1},
    )  # fmt: skip
    times = {
        "arrival": 1, "admitted": 10, "prefill_start": 20, "prefill_end": 33, "first_token": 50,
        "finish": 91, "queue": 9, "prefill": 13, "decode_queue": 8, "transfer": 9, "ttft": 49,
        "tpot": 21, "e2el": 90, "scheduling_delay": 19, "ntpot": 30,
    }  # fmt: skip
    for name, spent_ps in times.items():  # 41 / 2 is rounded up
        assert row[f"{name}_ms"] == f"0.0000000{spent_ps:02d}", name
    numbers = {
        "request_id": 0, "input_tokens": 2, "output_tokens": 3, "slot": 0, "replica": 6,
        "prefill_replica": 7, "preemption_count": 4, "cached_tokens": 5,
        "accepted_draft_tokens": 1,
    }  # fmt: skip
    for name, number in numbers.items():
        assert row[name] == str(number), name
    assert (row["status"], row["reason"]) == ("finished", "")


def test_finished_and_other_requests_keep_their_order(request_row: Row) -> None:
    ends = [Outcome.FINISHED, Outcome.TIMED_OUT, Outcome.FINISHED, Outcome.REJECTED_KV]
    done = {"output_tokens": 1, "decode_wait_ps": 0}
    times = ("admitted_ps", "prefill_start_ps", "prefill_end_ps", "first_token_ps", "finish_ps")
    rows = cells(
        request_row,
        *(
            done | {"outcome": end, "arrival_ps": 100 + number} | dict.fromkeys(times, 200)
            for number, end in enumerate(ends * 2)
        ),
    )
    assert [row["request_id"] for row in rows] == list("01234567")
    assert [row["status"] for row in rows] == [end.status for end in ends * 2]
    assert [row["arrival_ms"] for row in rows] == [f"0.000000{100 + n}" for n in range(8)]


@pytest.mark.parametrize(
    ("timeout_ps", "said"),
    [(1, "0.000000001"), (10**9, "1"), (10 * S, "10000"), (10**8, "0.1"), (None, "0")],
)
def test_reasons_say_the_limits_of_the_fleet(timeout_ps: int | None, said: str) -> None:
    admission = Admission(queue_limit=20, timeout_ps=timeout_ps)
    fleet = FleetPlan(TIMING, StaticSlotsPolicy(), admission=admission)
    assert outcome_reasons(fleet) == {
        Outcome.REJECTED_CONTEXT: "input + output tokens exceed the longest context of 64",
        Outcome.REJECTED_KV: "its reservation exceeds the cache of 100 tokens",
        Outcome.REJECTED_QUEUE: "20 requests waited already",
        Outcome.TIMED_OUT: f"not finished {said} ms after its arrival",
    }


def test_bins_follow_each_other_over_blocks_of_rows() -> None:
    """Of 0.7 s: the n-th begins at 0.7 n seconds, also where another block of rows begins."""
    bins = ColumnLog(TIMELINE_COLUMNS)
    count = BLOCK_ROWS + 3
    for number in range(count):
        bins.append((number, *[0] * (len(TIMELINE_COLUMNS) - 1)))
    rows = named(TIMELINE, csv.reader(timeline_lines(bins, 7 * S // 10)))
    assert len(rows) == count
    for number in (0, 1, 10, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 2):
        assert rows[number]["start_s"] == f"{7 * number // 10}.{7 * number % 10}00000"
        assert rows[number]["arrived"] == str(number)


def test_bins_shorter_than_a_microsecond_begin_at_whole_ones() -> None:
    bins = ColumnLog(TIMELINE_COLUMNS)
    for _ in range(4):
        bins.append((0,) * len(TIMELINE_COLUMNS))
    rows = named(TIMELINE, csv.reader(timeline_lines(bins, 600_000)))
    assert [row["start_s"] for row in rows] == [f"0.00000{micros}" for micros in (0, 0, 1, 1)]


def totals_of(*busy_ps: int, end_ps: int = S) -> ReplayTotals:
    books = [ReplicaBooks(number, busy_ps=spent) for number, spent in enumerate(busy_ps)]
    return ReplayTotals(end_ps, 3, 0, 0, replicas=tuple(books))


def test_stages_of_the_first_replica_are_busy_for_its_whole_steps(step: StepTiming) -> None:
    interval = step.interval_ps
    first, second = named(STAGES, stage_rows(step, totals_of(10 * interval + 1, interval)))
    blocks = [stage.stage.blocks for stage in step.stages]
    for row, timing, held in zip((first, second), step.stages, blocks, strict=True):
        assert row["utilisation"] == f"0.{round(10 * timing.service_ps / 1000):09d}"
        assert (row["first_block"], row["last_block"]) == (held[0].name, held[-1].name)
        assert row["block_count"] == str(len(held))
        assert row["first_chip"] == str(timing.stage.chips[0])
    for row, transfer in zip((first, second), step.transfers, strict=True):
        assert int(row["transfer_ms"].replace(".", "")) == transfer.message.duration_ps
    assert first["first_chip"] != second["first_chip"]
    idle = named(STAGES, stage_rows(step, totals_of(interval - 1)))
    nobody = named(STAGES, stage_rows(step, totals_of()))
    assert {row["utilisation"] for row in (*idle, *nobody)} == {"0.000000000"}


def test_chips_are_busy_with_their_stage(step: StepTiming) -> None:
    interval, services = step.interval_ps, [stage.service_ps for stage in step.stages]
    rows = named(CHIPS, chip_rows(step, totals_of(10 * interval + 1, 99 * interval)))
    capacity = str(step.plan.system.chip.capacity_bytes)
    assert [row["chip"] for row in rows] == list("012345")
    for row, stage in zip(rows[:4], (0, 0, 1, 1), strict=True):
        assert (row["role"], row["stage"], row["rack"]) == ("stage", str(stage), "0")
        assert row["utilisation"] == f"0.{round(10 * services[stage] / 1000):09d}"
        assert int(row["step_busy_ms"].replace(".", "")) == services[stage]
    used = [memory.used_bytes for stage in step.plan.stages for memory in stage.memory]
    assert [int(row["used_bytes"]) for row in rows] == [*used, 0, 0]
    assert {row["capacity_bytes"] for row in rows} == {capacity}
    for row in rows[4:]:
        assert (row["role"], row["stage"]) == ("spare", "")
        assert (row["step_busy_ms"], row["utilisation"]) == ("0.000000000", "0.000000000")
    for row in named(CHIPS, chip_rows(step, totals_of())):
        assert row["utilisation"] == "0.000000000"


@pytest.mark.parametrize("replicas", [0, 1, 2, 3, 4])
def test_chips_of_other_replicas_spares_and_idle_ones(step: StepTiming, replicas: int) -> None:
    """Three racks of two active nodes and a spare: a replica takes the two nodes of a rack."""
    link = LinkType("c2c", 10**10, 100_000, 320, 328)
    topology = dragonfly(
        name="three racks",
        racks=3,
        nodes_per_rack=3,
        chips_per_node=2,
        links_per_node_pair=1,
        links_per_rack_pair=1,
        spare_nodes_per_rack=1,
        local=link,
        global_=link,
        port_count=99,
    )
    system = replace(step.plan.system, topology=topology)
    machine = replace(step, plan=replace(step.plan, system=system))
    rows = named(CHIPS, chip_rows(machine, totals_of(*[step.interval_ps] * replicas)))
    taken = ["stage", *["replica"] * (max(replicas, 1) - 1), "idle", "idle"][:3]
    wanted = [role for own in taken for role in [own] * 4 + ["spare"] * 2]
    assert [row["role"] for row in rows] == wanted
    assert [row["rack"] for row in rows] == ["0"] * 6 + ["1"] * 6 + ["2"] * 6


def test_cables_of_a_pair_are_dealt_vectors_one_by_one(wide_step: StepTiming) -> None:
    """Kind after kind over the cables in turn: each is listed once, with what falls to it."""
    rows = named(LINKS, csv.reader(link_lines(wide_step, totals_of(7 * wide_step.interval_ps + 1))))
    seen: dict[tuple[str, str], int] = {}
    uneven = 0
    for row in rows:
        ends = (row["source_chip"], row["target_chip"])
        place = seen[ends] = seen.get(ends, -1) + 1
        hop = (int(ends[0]), int(ends[1]))
        lanes = wide_step.plan.routing.lane_count(hop)
        turn = 0
        whole = busy_ps = 0
        for kind, load in wide_step.link_loads.get(hop, {}).items():
            own = sum(1 for vector in range(turn, turn + load.vectors) if vector % lanes == place)
            uneven += own * lanes != load.vectors
            assert row[f"{kind}_step_vectors"] == str(own)
            assert int(row[f"{kind}_step_busy_ms"].replace(".", "")) == load.held_ps
            turn += load.vectors
            whole += own
            busy_ps += 7 * load.held_ps
        assert row["step_vectors"] == str(whole)
        assert row["payload_bytes"] == str(7 * 320 * whole)
        assert int(row["busy_ms"].replace(".", "")) == busy_ps
        assert row["utilisation"] == f"0.{round(busy_ps / 1000):09d}"
    assert uneven, "else dealing could not be told from sharing"
    for row in named(LINKS, csv.reader(link_lines(wide_step, totals_of()))):
        assert (row["payload_bytes"], row["busy_ms"]) == ("0", "0.000000000")
