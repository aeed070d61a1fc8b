"""The books of slots by hand: rows, steps, cache, drafts, and who is refused or gives up.

Four slots, 100 ps apart; a token is there 350 ps after its row entered. Three engines must agree.
"""

from collections import Counter
from dataclasses import replace
from unittest.mock import patch

import pytest
from replays import Replayed, replayed

from rack_sim.compiler.slots import BucketTiming, SlotTiming
from rack_sim.engine.fleet import FleetPlan
from rack_sim.engine.observer import Outcome
from rack_sim.engine.policies import StaticSlotsPolicy
from rack_sim.engine.policies.phased_slots import PhasedSlots
from rack_sim.engine.policies.prefix_cache import PrefixCaching
from rack_sim.engine.policies.replica import Admission
from rack_sim.engine.speculation import Speculation
from rack_sim.foundation.errors import InputError
from rack_sim.workload.request import Request

ONE_ROW = SlotTiming(1, 4, 100, 350, context_tokens=200, kv_tokens=1000)
TWO_ROWS = replace(ONE_ROW, rows=2)
SEATS = replace(ONE_ROW, rows=3, rows_per_sequence=3)
AS_NEEDED = StaticSlotsPolicy("request")
ALWAYS_RIGHT = Speculation((1.0, 1.0))


def serve(
    requests: list[Request],
    timing: SlotTiming = ONE_ROW,
    policy: StaticSlotsPolicy = AS_NEEDED,
    speculation: Speculation | None = None,
    **admission: object,
) -> Replayed:
    fleet = FleetPlan(timing, policy, admission=Admission(**admission), speculation=speculation)
    found = replayed(fleet, requests)
    assert replayed(fleet, requests, every_step=True) == found
    if not timing.buckets:
        with patch.object(StaticSlotsPolicy, "engine", lambda *_, **__: PhasedSlots):
            assert replayed(fleet, requests) == found
    return found


@pytest.mark.parametrize(
    ("timing", "first_token_ps", "steps"), [(ONE_ROW, 200 + 350, 4), (TWO_ROWS, 100 + 350, 3)]
)
def test_rows_and_steps_of_one_request(timing, first_token_ps, steps):
    """Three prompt rows and one more: by ones in four steps, by twos in three."""
    found = serve([Request(0, 0, 3, 2)], timing)
    (row,) = found.rows
    assert (row.first_token_ps, row.finish_ps) == (first_token_ps, first_token_ps + 400)
    assert (found.totals.busy_step_count, found.totals.row_step_count) == (steps, 4)
    (books,) = found.totals.replicas
    assert (books.busy_ps, books.rows_ps) == (100 * steps, 400)
    assert (books.request_count, books.finished_count, books.rejected_count) == (1, 1, 0)
    assert (books.prompt_tokens, books.output_tokens, books.cached_tokens) == (3, 2, 0)
    assert (books.kv_tokens, books.kv_tokens_max) == (1000, 5)
    assert (books.running_max, books.waiting_max, books.end_ps) == (1, 0, row.finish_ps)
    assert found.sums["kv_token_ps"] == 5 * row.finish_ps


@pytest.mark.parametrize(("kind", "tokens"), [("request", 5), ("max_context", 200)])
def test_what_a_request_reserves(kind, tokens):
    found = serve([Request(0, 0, 3, 2)], policy=StaticSlotsPolicy(kind))
    assert found.totals.replicas[0].kv_tokens_max == tokens
    assert found.sums["kv_token_ps"] == tokens * 950


def test_the_books_keep_the_highest_numbers():
    """Four run at most, one more waits, then two run, one by one; the highest numbers stay."""
    requests = [Request(n, 0, 1, 3) for n in range(5)]
    requests += [Request(5, 9_000, 1, 1), Request(6, 9_000, 1, 1), Request(7, 20_000, 1, 1)]
    (books,) = serve(requests).totals.replicas
    assert (books.running_max, books.waiting_max, books.kv_tokens_max) == (4, 1, 16)
    assert books.end_ps == 20_000 + 350


@pytest.mark.parametrize(
    ("policy", "kv_tokens", "tokens", "outcome"),
    [
        ("request", 1000, 200, Outcome.FINISHED),
        ("request", 1000, 201, Outcome.REJECTED_CONTEXT),
        ("request", 150, 150, Outcome.FINISHED),
        ("request", 150, 151, Outcome.REJECTED_KV),
        ("max_context", 200, 2, Outcome.FINISHED),
        ("max_context", 199, 2, Outcome.REJECTED_KV),
        ("max_context", 199, 201, Outcome.REJECTED_CONTEXT),
    ],
)
def test_who_can_never_be_served(policy, kv_tokens, tokens, outcome):
    """Too long for the program, or for the cache as it is given out."""
    timing = replace(ONE_ROW, kv_tokens=kv_tokens)
    found = serve([Request(0, 5, tokens - 1, 1)], timing, StaticSlotsPolicy(policy))
    assert found.column("outcome") == [outcome]
    (books,) = found.totals.replicas
    refused = outcome != Outcome.FINISHED
    assert (books.rejected_count, found.sums["rejected"]) == (refused, refused)
    assert (books.finished_count, books.request_count) == (not refused, 1)
    if refused:
        assert (found.totals.end_ps, found.totals.row_step_count) == (5, 0)


@pytest.mark.parametrize(
    ("limit", "outcomes"), [(0, "FFRRF"), (1, "FFFRF"), (2, "FFFFF"), (None, "FFFFF")]
)
def test_a_full_queue_refuses_whom_it_cannot_let_in_at_once(limit, outcomes):
    """Room for two; the last comes when nobody is there, and needs no place in the queue."""
    timing = replace(ONE_ROW, kv_tokens=10)
    requests = [Request(n, n, 3, 2) for n in range(4)] + [Request(4, 50_000, 3, 2)]
    found = serve(requests, timing, queue_limit=limit)
    names = {Outcome.FINISHED: "F", Outcome.REJECTED_QUEUE: "R"}
    assert "".join(names[outcome] for outcome in found.column("outcome")) == outcomes
    assert found.totals.replicas[0].waiting_max == min(2, 2 if limit is None else limit)


def test_nobody_passes_those_who_wait():
    """Request 1 waits for nine tokens of cache; request 2, which would fit, waits behind it.

    Let in at 950, request 1 has its prompt in entries 10 to 16 and its second token 400 after the
    first. With a priority request 2 is let in at once.
    """
    timing = replace(ONE_ROW, kv_tokens=10)
    requests = [Request(0, 0, 3, 2), Request(1, 10, 7, 2), Request(2, 20, 1, 1, priority=1)]
    assert serve(requests, timing).column("admitted_ps") == [0, 950, 1600 + 350 + 400]
    assert serve(requests, timing, order="priority").column("admitted_ps") == [0, 950, 20]


def test_what_is_in_the_prefix_cache_takes_no_rows():
    """Eight of ten tokens are found: two rows instead of ten."""
    requests = [Request(n, 20_000 * n, 10, 1, (1, 2, 3 + n)) for n in range(2)]
    found = serve(requests, prefix_caching=PrefixCaching(4, 10))
    assert found.column("hit_tokens") == [0, 8]
    assert [row.finish_ps - row.arrival_ps for row in found.rows] == [900 + 350, 100 + 350]
    (books,) = found.totals.replicas
    assert (books.prompt_tokens, books.cached_tokens) == (12, 8)
    assert (found.sums["prompt_tokens"], found.sums["cached_tokens"]) == (12, 8)
    assert found.totals.row_step_count == 12


def test_a_seat_holds_a_token_and_its_draft():
    """Four prompt tokens take two seats of three; seven more tokens come by 3, 3 and 1."""
    found = serve([Request(0, 0, 4, 8)], SEATS, speculation=ALWAYS_RIGHT)
    (row,) = found.rows
    assert (row.prefill_end_ps, row.first_token_ps) == (100, 450)
    assert (row.finish_ps, row.accepted_draft_tokens) == (450 + 3 * 400, 4)
    assert found.gaps == Counter({400: 3, 0: 4})
    (books,) = found.totals.replicas
    assert (books.draft_tokens, books.accepted_draft_tokens) == (6, 4)
    assert (found.totals.row_step_count, found.totals.busy_step_count) == (4 + 9, 5)
    assert found.sequences[0].emitted == 8


@pytest.mark.parametrize("rows", [3, 4, 5])
def test_rows_that_are_no_whole_seat_stay_empty(rows):
    """One sequence a slot whatever is left: the fifth waits for a seat of the first."""
    requests = [Request(n, 0, 1, 2) for n in range(5)]
    found = serve(requests, replace(SEATS, rows=rows), speculation=ALWAYS_RIGHT)
    assert found.column("slot") == [0, 1, 2, 3, 0]
    assert found.column("admitted_ps") == [0, 0, 0, 0, 750]


@pytest.mark.parametrize(
    ("timing", "speculation", "said"),
    [
        (SEATS, None, "a seat of 3 rows does not hold a token and its draft"),
        (ONE_ROW, ALWAYS_RIGHT, "a seat of 1 rows does not hold"),
        (replace(SEATS, rows=2), ALWAYS_RIGHT, "a slot of 2 rows has no room for a seat of 3"),
    ],
)
def test_seats_that_do_not_hold_a_draft_are_refused(timing, speculation, said):
    with pytest.raises(InputError, match=said):
        serve([Request(0, 0, 1, 1)], timing, speculation=speculation)


@pytest.mark.parametrize(("timeout_ps", "rows"), [(250, 9), (300, 9), (301, 12), (0, 0)])
def test_who_gives_up_in_its_prompt_has_used_the_rows_that_entered(timeout_ps, rows):
    """A seat of three rows enters every 100 ps; one at the instant of giving up does not."""
    found = serve([Request(0, 0, 100, 8)], SEATS, speculation=ALWAYS_RIGHT, timeout_ps=timeout_ps)
    (row,) = found.rows
    assert (row.outcome, row.first_token_ps, row.finish_ps) == (Outcome.TIMED_OUT, -1, -1)
    assert (row.prefill_start_ps, row.accepted_draft_tokens) == (0 if rows else -1, 0)
    (books,) = found.totals.replicas
    assert (books.prompt_tokens, books.draft_tokens, books.output_tokens) == (rows, 0, 0)
    assert (books.timed_out_count, books.end_ps) == (1, timeout_ps)
    assert (found.totals.row_step_count, found.totals.busy_step_count) == (rows, rows // 3)
    assert (found.sums["prompt_tokens"], found.sums["running_ps"]) == (rows, timeout_ps)


@pytest.mark.parametrize(
    ("timeout_ps", "turns", "first_token_ps"),
    [(101, 0, -1), (449, 0, -1), (450, 0, 450), (500, 0, 450), (501, 1, 450), (900, 1, 450)],
)
def test_who_gives_up_later_keeps_the_turns_that_entered(timeout_ps, turns, first_token_ps):
    """The prompt ends at 100, turns enter at 500, 900, …: three tokens each, two of the draft."""
    found = serve([Request(0, 0, 4, 80)], SEATS, speculation=ALWAYS_RIGHT, timeout_ps=timeout_ps)
    (row,) = found.rows
    assert (row.outcome, row.first_token_ps, row.finish_ps) == (
        Outcome.TIMED_OUT,
        first_token_ps,
        -1,
    )
    (books,) = found.totals.replicas
    assert (books.prompt_tokens, books.output_tokens) == (4, 0)
    assert (books.draft_tokens, books.accepted_draft_tokens) == (2 * turns, 2 * turns)
    assert row.accepted_draft_tokens == 2 * turns
    assert found.sequences[0].emitted == 1 + 3 * turns
    assert found.sums["output_tokens"] == 1 + 3 * turns
    assert found.totals.row_step_count == 4 + 3 * turns
    assert found.gaps == Counter()


def test_who_gives_up_after_a_hit_has_used_what_was_left():
    """Four of forty tokens are found; of the others seven entered before 20 650."""
    names = tuple(range(1, 11))
    requests = [Request(0, 0, 4, 1, names[:1]), Request(1, 20_000, 40, 1, names)]
    found = serve(requests, prefix_caching=PrefixCaching(4, 10), timeout_ps=650)
    assert found.column("outcome") == [Outcome.FINISHED, Outcome.TIMED_OUT]
    assert found.column("finish_ps") == [650, -1], "the last token at the very instant counts"
    (books,) = found.totals.replicas
    assert (books.prompt_tokens, books.cached_tokens) == (4 + 7, 4)
    assert found.totals.row_step_count == 4 + 7


def test_room_of_who_gives_up_is_free_at_once():
    """Who waits is let in then; who waits and gives up leaves the queue."""
    timing = replace(ONE_ROW, kv_tokens=100)
    requests = [Request(0, 0, 20, 80), Request(1, 10, 20, 80), Request(2, 1500, 3, 2)]
    found = serve(requests, timing, timeout_ps=1500)
    assert found.column("outcome") == [Outcome.TIMED_OUT] * 2 + [Outcome.FINISHED]
    assert found.column("admitted_ps") == [0, 1500, 1510]
    assert found.sums["waiting_ps"] == 1490 + 10
    assert found.totals.replicas[0].waiting_max == 1


def test_steps_of_a_short_program_are_shorter():
    """Two programs: contexts of up to 4 every 60 ps, longer ones every 100 ps.

    Contexts 1 to 4 are three prompt rows and a row that reads the first token; then two long ones.
    """
    buckets = (BucketTiming(4, 350, 350), BucketTiming(200, 400, 400))
    timing = replace(ONE_ROW, token_ps=400, buckets=buckets, separation_ps=((60, 60), (100, 100)))
    found = serve([Request(0, 0, 3, 4)], timing)
    assert (found.totals.busy_step_count, found.totals.row_step_count) == (6, 6)
    (books,) = found.totals.replicas
    assert books.busy_ps == books.rows_ps == 4 * 60 + 2 * 100
