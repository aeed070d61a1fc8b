"""Programs by context with prompts first, by hand: what goes in an entry says when it comes.

Two slots of two rows. Contexts up to 4 are small; small all around takes 200 a revolution. A small
entry comes 100 after a small one and 130 after a large one, a large one 110 and 140.
"""

from dataclasses import replace

import pytest
from replays import Replayed, replayed

from rack_sim.compiler.slots import BucketTiming, SlotTiming
from rack_sim.engine.fleet import FleetPlan
from rack_sim.engine.policies import StaticSlotsPolicy
from rack_sim.workload.request import Request

TIMING = SlotTiming(
    rows=2,
    slot_count=2,
    interval_ps=140,
    token_ps=230,
    context_tokens=64,
    kv_tokens=1000,
    buckets=(BucketTiming(4, 180, 170), BucketTiming(64, 240, 230)),
    separation_ps=((100, 110), (130, 140)),
)


def serve(requests: list[Request], priority: str, timing: SlotTiming = TIMING) -> Replayed:
    fleet = FleetPlan(timing, StaticSlotsPolicy("request", priority))
    found = replayed(fleet, requests)
    assert replayed(fleet, requests, every_step=True) == found
    return found


@pytest.mark.parametrize("priority", ["decode", "prefill"])
def test_a_short_prompt_beside_a_long_sequence_enters_with_its_program(priority):
    """Request 0 has a row of slot 0 from 210 on, large: 450, 690 …; slot 1 is empty.

    Request 1, one token, comes at 600 and takes the other row at 690: its token takes 230 too.
    """
    found = serve([Request(0, 0, 5, 30), Request(1, 600, 1, 1)], priority)
    assert found.column("prefill_end_ps") == [210, 690]
    assert found.column("finish_ps") == [210 + 29 * 240 + 230, 690 + 230]
    assert [row.slot for row in found.rows] == [0, 0]


def test_a_long_sequence_that_has_no_turn_does_not_count():
    """Prompts first: four tokens take both rows of slot 0 at 690, and of slot 1 at 790.

    With them all is small, and slot 0 comes when its last program, a large one, is back: at 690.
    """
    found = serve([Request(0, 0, 5, 30), Request(1, 600, 4, 1)], "prefill")
    assert (found.rows[1].prefill_start_ps, found.rows[1].prefill_end_ps) == (690, 790)
    assert found.rows[1].first_token_ps == 790 + 170
    # Large at 450, skipped at 690; then 900 (110 after 790, and 180 after 690).
    assert found.rows[0].finish_ps == 900 + 27 * 240 + 230


@pytest.mark.parametrize(("inputs", "finish_ps"), [(4, 100 + 170), (5, 210 + 230), (8, 350 + 230)])
def test_a_prompt_grows_into_the_next_program(inputs, finish_ps):
    """Two tokens an entry: contexts 1 to 4 are small at 0 and 100, 5 and 6 large at 210.

    The next, 7 and 8, are large too, 140 later.
    """
    found = serve([Request(0, 0, inputs, 1)], "decode")
    assert found.column("finish_ps") == [finish_ps]


def test_two_prompts_share_an_entry():
    """Contexts 5 to 9 of request 0 are large, at 210, 350 and 490, there with one of request 1.

    Of that two are small at 620, two large at 730, when request 0 has left, and the last at 870.
    """
    found = serve([Request(0, 0, 9, 1), Request(1, 149, 6, 1)], "decode")
    assert found.column("prefill_end_ps") == [490, 870]
    assert found.column("finish_ps") == [490 + 230, 870 + 230]


def test_a_prompt_whose_next_token_is_the_last_of_its_program():
    """One row a slot, contexts up to 2 small. Request 0 leaves at 170; 1 has had a token at 100.

    Its second is small, at 200, the third large, at 310, and so are the others, each 140 later.
    """
    buckets = (BucketTiming(2, 180, 170), BucketTiming(64, 240, 230))
    timing = replace(TIMING, rows=1, buckets=buckets)
    found = serve([Request(0, 0, 1, 1), Request(1, 0, 9, 1)], "decode", timing)
    assert found.column("finish_ps") == [170, 310 + 6 * 140 + 230]
