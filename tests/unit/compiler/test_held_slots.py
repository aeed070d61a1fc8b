"""Slots and their buckets by hand: how long they hold the pipeline, how long a revolution is."""

from types import SimpleNamespace

import pytest

from rack_sim.compiler.draft import draft_slots
from rack_sim.compiler.slots import BucketTiming, SlotTiming
from rack_sim.foundation.errors import InputError

SLOTS = SlotTiming(
    rows=3, slot_count=7, interval_ps=100, token_ps=650, context_tokens=4096, kv_tokens=9999
)
BUCKETS = (BucketTiming(1024, 400, 350), BucketTiming(4096, 690, 650))


def test_slots_of_one_program_hold_the_pipeline_for_an_interval() -> None:
    assert SLOTS.revolution_ps == 700
    assert SLOTS.held_ps == (100,)
    assert (SLOTS.rows_per_sequence, SLOTS.draft_ps) == (1, 0)
    assert SLOTS.buckets == SLOTS.separation_ps == ()


@pytest.mark.parametrize(
    ("separation", "held"),
    [
        # A short step behind its like takes 40; between two long ones 70 + 120, of which the long
        # one has 100: its own interval is less.
        (((40, 70), (120, 100)), 40),
        # Between two long ones it takes 30 more than the one in front: less than its own interval.
        (((90, 10), (120, 100)), 30),
        (((90, 100), (80, 100)), 80),
        (((90, 100), (100, 100)), 90),
        (((40, 10), (130, 100)), 40),
    ],
)
def test_a_short_step_holds_what_it_takes_beside_its_like_and_beside_long_ones(
    separation: tuple[tuple[int, ...], ...], held: int
) -> None:
    slots = SlotTiming(3, 7, 100, 650, 4096, 9999, buckets=BUCKETS, separation_ps=separation)
    assert slots.held_ps == (held, 100)


def test_the_shortest_of_three_is_held_against_both_others() -> None:
    """Behind a long step 150 in all: 90 less before its like, 120 less before the middle one.

    The middle one has 140, and 80 less before the shortest.
    """
    separation = ((60, 20, 100), (70, 80, 100), (150, 140, 100))
    buckets = (BucketTiming(512, 300, 250), *BUCKETS)
    slots = SlotTiming(3, 7, 100, 650, 4096, 9999, buckets=buckets, separation_ps=separation)
    assert slots.held_ps == (150 - 120, 140 - 80, 100)


@pytest.mark.parametrize(
    ("latency_ps", "draft_ps", "count"),
    [(700, 0, 7), (700, 1, 8), (700, 100, 8), (700, 101, 9), (650, 50, 7), (650, 51, 8)],
)
def test_a_draft_needs_as_many_more_slots_as_fill_its_time(
    latency_ps: int, draft_ps: int, count: int
) -> None:
    step = SimpleNamespace(latency_ps=latency_ps)
    found = draft_slots(step, SLOTS, draft_tokens=2, draft_latency_ps=draft_ps)  # type: ignore[arg-type]
    assert (found.slot_count, found.draft_ps, found.rows_per_sequence) == (count, draft_ps, 3)
    assert (found.rows, found.interval_ps, found.token_ps) == (3, 100, 650)


def test_a_draft_makes_every_bucket_come_round_later_but_no_token() -> None:
    slots = SlotTiming(
        3, 7, 100, 650, 4096, 9999, buckets=BUCKETS, separation_ps=((40, 70), (120, 100))
    )
    step = SimpleNamespace(latency_ps=690)
    found = draft_slots(step, slots, draft_tokens=1, draft_latency_ps=55)  # type: ignore[arg-type]
    assert found.buckets == (BucketTiming(1024, 455, 350), BucketTiming(4096, 745, 650))
    assert found.rows_per_sequence == 2
    assert found.separation_ps == slots.separation_ps


@pytest.mark.parametrize(("draft", "fits"), [(0, True), (1, True), (2, True), (3, False)])
def test_a_token_and_its_draft_fit_the_rows_of_a_slot(draft: int, fits: bool) -> None:
    step = SimpleNamespace(latency_ps=700)
    if fits:
        found = draft_slots(step, SLOTS, draft_tokens=draft, draft_latency_ps=0)  # type: ignore[arg-type]
        assert found.rows_per_sequence == draft + 1
        return
    with pytest.raises(InputError, match="draft of 3 need 4 rows of a slot, which has 3"):
        draft_slots(step, SLOTS, draft_tokens=draft, draft_latency_ps=0)  # type: ignore[arg-type]
