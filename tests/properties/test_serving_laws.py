"""Laws of serving that hold whatever the machine, to the picosecond and the token.

Little's law, work conservation, causality, conservation of tokens, gaps and blocks. Machines,
routers, orders, caches, drafts, pools and requests are drawn.
"""

from itertools import pairwise
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replays import Iterations, Replayed, Roof, replayed

from rack_sim.compiler.batches import BatchTiming, DraftCost
from rack_sim.compiler.slots import SlotTiming
from rack_sim.engine.fleet import Disaggregation, FleetPlan
from rack_sim.engine.observer import Outcome
from rack_sim.engine.policies import ContinuousBatchingPolicy, StaticSlotsPolicy
from rack_sim.engine.policies.batch_server import BatchServer
from rack_sim.engine.policies.prefix_cache import PrefixCaching
from rack_sim.engine.policies.replica import Admission
from rack_sim.engine.routers import ROUTERS
from rack_sim.engine.speculation import Speculation
from rack_sim.engine.transfers import TransferPath
from rack_sim.workload.request import Request

roofs = st.builds(Roof, st.just("roof"), st.integers(0, 3), st.integers(0, 5), st.integers(0, 5))
iterations = st.builds(
    Iterations,
    st.integers(1, 200),
    st.integers(0, 9),
    st.integers(0, 9),
    st.lists(roofs, min_size=1, max_size=3).map(tuple),
)
CONTEXT = 60


@st.composite
def admissions(draw: st.DrawFn, *, timeouts: bool) -> Admission:
    return Admission(
        order=draw(st.sampled_from(["fcfs", "priority"])),
        queue_limit=draw(st.sampled_from([None, None, None, 1, 4])),
        timeout_ps=draw(st.sampled_from([300, 1000, 3000, 9000])) if timeouts else None,
        prefix_caching=draw(st.none() | st.builds(PrefixCaching, st.just(4), st.integers(1, 12))),
    )


@st.composite
def batches(
    draw: st.DrawFn, *, timeouts: bool = False, pools: bool = True, drafts: bool = True
) -> FleetPlan:
    """Fleets of reactive replicas; room is short often enough that sequences are thrown out."""
    rates = st.lists(st.sampled_from([0.0, 0.4, 0.8, 1.0]), min_size=1, max_size=3)
    kept = draw(st.none() | rates) if drafts else None
    width = len(kept) + 1 if kept else 1
    max_sequences = draw(st.integers(1, 9))
    budget = max_sequences * width + draw(st.integers(0, 12))
    block_tokens = draw(st.integers(1, 8))
    replica_count = draw(st.integers(1, 4))
    apart = None
    if pools and replica_count > 1 and draw(st.booleans()):
        prefill = draw(st.integers(1, replica_count - 1))
        links = st.lists(st.integers(0, 3), max_size=3, unique=True).map(tuple)
        apart = Disaggregation(
            prefill,
            {
                (a, b): TransferPath(draw(links), draw(st.integers(0, 90)), 10**12 // 7)
                for a in range(prefill)
                for b in range(prefill, replica_count)
            },
        )
    return FleetPlan(
        timing=BatchTiming(
            draw(iterations),
            block_tokens,
            -(-draw(st.integers(20, 200)) // block_tokens),
            CONTEXT,
            kv_bytes_per_token=draw(st.integers(1, 50)),
            draft=DraftCost(latency_ps=draw(st.integers(0, 50))),
        ),
        policy=ContinuousBatchingPolicy(
            token_budget=budget,
            chunk_tokens=draw(st.none() | st.integers(1, budget)),
            max_sequences=max_sequences,
            block_tokens=block_tokens,
            watermark_share=draw(st.sampled_from([0.0, 0.05, 0.3])),
        ),
        replica_count=replica_count,
        router=draw(st.sampled_from(sorted(ROUTERS))),
        admission=draw(admissions(timeouts=timeouts)),
        speculation=Speculation(tuple(kept), draw(st.integers(0, 9))) if kept else None,
        disaggregation=apart,
        seed=draw(st.integers(0, 99)),
    )


@st.composite
def slots(draw: st.DrawFn) -> FleetPlan:
    """Fleets of static pipelines."""
    count, interval = draw(st.integers(1, 6)), draw(st.integers(1, 50))
    return FleetPlan(
        timing=SlotTiming(
            rows=draw(st.integers(1, 4)),
            slot_count=count,
            interval_ps=interval,
            token_ps=draw(st.integers((count - 1) * interval + 1, count * interval)),
            context_tokens=CONTEXT,
            kv_tokens=draw(st.integers(30, 300)),
        ),
        policy=StaticSlotsPolicy(draw(st.sampled_from(["max_context", "request"]))),
        replica_count=draw(st.integers(1, 4)),
        router=draw(st.sampled_from(sorted(ROUTERS))),
        admission=draw(admissions(timeouts=False)),
        seed=draw(st.integers(0, 99)),
    )


@st.composite
def listed(draw: st.DrawFn) -> list[Request]:
    """A few requests, at once or far apart, some of which are too long."""
    longest_gap = draw(st.sampled_from([0, 30, 200, 2000]))
    requests, now = [], 0
    for number in range(draw(st.sampled_from([1, 5, 15, 40]))):
        now += draw(st.integers(0, longest_gap))
        inputs = draw(st.integers(1, 38))
        names = tuple(draw(st.integers(0, 1)) * 100 + n for n in range(-(-inputs // 4)))
        session, priority = draw(st.integers(0, 3)), draw(st.integers(0, 2))
        requests.append(
            Request(number, now, inputs, draw(st.integers(1, 25)), names, session, priority)
        )
    return requests


def finished(found: Replayed) -> list:
    return [row for row in found.rows if row.outcome == Outcome.FINISHED]


def given_up(found: Replayed) -> list:
    return [row for row in found.rows if row.outcome == Outcome.TIMED_OUT]


def check_counts(found: Replayed, requests: list[Request]) -> None:
    """Every request ends once, and the timeline, the rows and the replicas' books agree."""
    sums, books = found.sums, found.totals.replicas
    assert found.column("request_id") == list(range(len(requests)))
    assert sums["arrived"] == len(requests)
    assert sums["finished"] == len(finished(found)) == sum(b.finished_count for b in books)
    assert sums["timed_out"] == len(given_up(found)) == sum(b.timed_out_count for b in books)
    assert sums["rejected"] == sum(b.rejected_count for b in books)
    assert sums["arrived"] == sums["finished"] + sums["timed_out"] + sums["rejected"]
    assert sums["prompt_tokens"] == sum(b.prompt_tokens for b in books)
    assert sums["cached_tokens"] == sum(b.cached_tokens for b in books)
    assert sums["recomputed_tokens"] == sum(b.recomputed_tokens for b in books)
    assert sum(b.output_tokens for b in books) == sum(r.output_tokens for r in finished(found))
    assert sums["output_tokens"] == sum(s.emitted for s in found.sequences)
    assert all(b.kv_tokens_max <= b.kv_tokens for b in books)


def check_order(found: Replayed) -> None:
    """Causes come before what they cause."""
    for row in finished(found):
        assert row.arrival_ps <= row.admitted_ps <= row.prefill_start_ps <= row.prefill_end_ps
        assert row.prefill_start_ps < row.first_token_ps
        assert row.first_token_ps + row.transfer_ps <= row.finish_ps
        assert (row.first_token_ps < row.finish_ps) == (row.output_tokens > 1)


@settings(max_examples=200, deadline=None)
@given(fleet=batches() | slots(), requests=listed(), bin_ps=st.integers(1, 5000))
def test_littles_law_is_exact(fleet, requests, bin_ps):
    """The integral of who waits or runs is the sum of all times in the system.

    Between two pools a request waits, and runs from when it is let in: it is in the system all
    along.
    """
    found = replayed(fleet, requests, bin_ps=bin_ps)
    check_counts(found, requests)
    check_order(found)
    inside = found.sums["waiting_ps"] + found.sums["running_ps"]
    assert inside == sum(row.finish_ps - row.arrival_ps for row in finished(found))
    room = sum(books.kv_tokens for books in found.totals.replicas)
    assert found.sums["kv_token_ps"] <= room * found.totals.end_ps
    if not fleet.disaggregation and not any(found.column("preemptions")):
        waited = sum(row.admitted_ps - row.arrival_ps for row in finished(found))
        assert found.sums["waiting_ps"] == waited


def longest_iteration_ps(fleet: FleetPlan, requests: list[Request]) -> int:
    """No iteration takes longer: a full budget of rows, each of which reads whole contexts."""
    timing, rows = fleet.timing, fleet.policy.token_budget
    tokens = rows * (2 * CONTEXT)
    attention = max(
        roof.per_pair_ps * rows * tokens + roof.per_token_ps * tokens + roof.per_row_ps * rows
        for roof in timing.iterations.roofs
    )
    return timing.iterations.base_ps(rows, rows) + attention + timing.draft.latency_ps


@settings(max_examples=200, deadline=None)
@given(fleet=batches(timeouts=True), requests=listed(), bin_ps=st.integers(1, 5000))
def test_littles_law_with_requests_that_give_up(fleet, requests, bin_ps):
    """Who gives up has been there for the timeout; its room is free when the iteration has ended.

    Beyond the timeout only those are counted that were let in: for an iteration at most, and until
    a cache that is being fetched has come.
    """
    found = replayed(fleet, requests, bin_ps=bin_ps)
    check_counts(found, requests)
    check_order(found)
    timeout_ps, gone = fleet.admission.timeout_ps, given_up(found)
    assert all(row.finish_ps - row.arrival_ps <= timeout_ps for row in finished(found))
    inside = found.sums["waiting_ps"] + found.sums["running_ps"]
    inside -= sum(row.finish_ps - row.arrival_ps for row in finished(found))
    inside -= timeout_ps * len(gone)
    longest = longest_iteration_ps(fleet, requests)
    let_in = [row for row in gone if row.admitted_ps >= 0]
    assert 0 <= inside <= sum(longest + row.transfer_ps for row in let_in)


def union_ps(spans: list[tuple[int, int]]) -> int:
    """How long at least one of the spans lasts."""
    total, until = 0, 0
    for start, end in sorted(spans):
        total += max(0, end - max(start, until))
        until = max(until, end)
    return total


@settings(max_examples=200, deadline=None)
@given(fleet=batches(pools=False), requests=listed())
def test_a_replica_is_idle_when_nobody_is_there_and_never_else(fleet, requests):
    """The time that iterations take is the time in which a replica has a request, to the ps."""
    found = replayed(fleet, requests)
    for books in found.totals.replicas:
        here = [row for row in finished(found) if row.replica == books.number]
        assert books.busy_ps == union_ps([(row.arrival_ps, row.finish_ps) for row in here])


@settings(max_examples=200, deadline=None)
@given(fleet=batches() | slots(), requests=listed())
def test_first_come_is_first_let_in(fleet, requests):
    """Without priorities nobody overtakes at the door of a replica; with them only the higher."""
    found = replayed(fleet, requests)
    for books in found.totals.replicas:
        here = [
            (row, requests[row.request_id].priority)
            for row in finished(found)
            if books.number == (row.prefill_replica if fleet.prefill_count else row.replica)
        ]
        for (before, first), (after, then) in pairwise(here):
            if fleet.admission.order == "fcfs" or first >= then:
                assert before.admitted_ps <= after.admitted_ps


@settings(max_examples=200, deadline=None)
@given(fleet=batches(), requests=listed())
def test_every_gap_between_tokens_is_told(fleet, requests):
    """A request's gaps are as many as its tokens but one, and add up to first to last token."""
    found = replayed(fleet, requests)
    served = finished(found)
    assert found.gaps.total() == sum(row.output_tokens - 1 for row in served)
    told = sum(gap * count for gap, count in found.gaps.items())
    assert told == sum(row.finish_ps - row.first_token_ps for row in served)


@settings(max_examples=200, deadline=None)
@given(fleet=batches(), requests=listed())
def test_rows_and_tokens_are_conserved(fleet, requests):
    """Rows of all iterations are prompts, prompts again, and decoding sequences and their drafts.

    A decoding sequence emits a token an iteration, and what was accepted of its draft; a prompt
    that is done emits one.
    """
    found = replayed(fleet, requests)
    batches, sums, served = found.totals.batches, found.sums, finished(found)
    width = 1 + (fleet.speculation.draft_tokens if fleet.speculation else 0)
    decoded = batches.token_count
    rows = sum(rows * count.iterations for rows, count in batches.by_rows.items())
    assert rows == sums["prompt_tokens"] + sums["recomputed_tokens"] + width * decoded
    sampled = sum(count.sampled_rows for count in batches.by_rows.values())
    by_sampled = batches.by_sampled.items()
    assert sampled == sum(number * count.iterations for number, count in by_sampled)
    assert decoded == sum(count.tokens for _, count in by_sampled)
    busy_ps = sum(count.duration_ps for count in batches.by_rows.values())
    assert busy_ps == sum(books.busy_ps for books in found.totals.replicas)
    prompts_done = sampled - width * decoded
    accepted = sum(row.accepted_draft_tokens for row in served)
    assert sums["output_tokens"] == sum(row.output_tokens for row in served)
    assert sums["output_tokens"] == decoded + accepted + prompts_done
    again = sum(row.preemptions for row in served)
    assert len(served) <= prompts_done <= len(served) + again
    inputs = sum(row.input_tokens for row in served)
    assert sums["recomputed_tokens"] <= again * CONTEXT
    # Each token of a prompt is prefilled for the first time or found, once, whatever happens later.
    assert sums["prompt_tokens"] + sums["cached_tokens"] == inputs
    assert sums["cached_tokens"] == sum(row.hit_tokens for row in served)


@settings(max_examples=200, deadline=None)
@given(fleet=batches(timeouts=False) | batches(timeouts=True), requests=listed())
def test_blocks_are_held_once_and_never_more_than_there_are(fleet, requests):
    """Whenever a batch is formed: free blocks and those of all sequences are all there are."""
    form_batch = BatchServer._form_batch

    def watched(server: BatchServer, now: int) -> None:
        form_batch(server, now)
        here = [*server.batch.values(), *server.held.values()]
        taken = sum(server.timing.units(s.cached_tokens) for s in here)
        assert server.free_units >= 0
        assert taken + server.free_units == server.unit_count
        assert len(server.batch) == server.running <= server.max_sequences
        assert server.run is None or server.run.rows <= server.token_budget

    with patch.object(BatchServer, "_form_batch", watched):
        replayed(fleet, requests, every_step=True)


def test_the_drawn_machines_do_everything():
    """The strategies reach what the laws are about; else a law would hold of nothing."""
    seen = set()

    @settings(max_examples=200, deadline=None, database=None, derandomize=True)
    @given(fleet=batches() | batches(timeouts=True), requests=listed())
    def look(fleet, requests):
        found = replayed(fleet, requests)
        seen.update(Outcome(row.outcome).name for row in found.rows)
        seen.update(
            name
            for name in ("preemptions", "transfer_ps", "hit_tokens", "accepted_draft_tokens")
            if any(found.column(name))
        )

    look()
    assert seen >= {
        *(outcome.name for outcome in Outcome),
        "preemptions",
        "transfer_ps",
        "hit_tokens",
        "accepted_draft_tokens",
    }


@pytest.mark.parametrize("machine", [batches, slots])
def test_two_replays_are_equal(machine):
    """The same fleet and requests: the same rows, whatever was replayed before."""

    @settings(max_examples=50, deadline=None)
    @given(fleet=machine(), requests=listed())
    def twice(fleet, requests):
        assert replayed(fleet, requests) == replayed(fleet, requests)

    twice()
