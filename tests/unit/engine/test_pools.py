"""Prefill apart from decode, by hand: caches on their way, who waits for them, who gives up.

An iteration takes 100 ps whatever is in it. A token is 50 bytes of cache, a link carries a byte a
picosecond: the cache of 10 tokens takes 500 ps, and 70 ps of latency.
"""

from collections import Counter

import pytest
from replays import Iterations, Replayed, replayed
from simpy import Environment

from rack_sim.compiler.batches import BatchTiming
from rack_sim.engine.decision import Decision, Priority
from rack_sim.engine.fleet import Disaggregation, FleetPlan
from rack_sim.engine.observer import Outcome, Sequence
from rack_sim.engine.policies import ContinuousBatchingPolicy
from rack_sim.engine.policies.replica import Admission
from rack_sim.engine.transfers import TransferPath, Transfers
from rack_sim.workload.request import Request


def path(*links: int, payload: int = 1, wire: int = 1) -> TransferPath:
    return TransferPath(links, 70, 10**12, payload, wire)


def serve(
    requests: list[Request],
    paths: dict[tuple[int, int], TransferPath],
    *,
    sequences: int = 8,
    block_count: int = 100,
    watermark: float = 0.0,
    timeout_ps: int | None = None,
    state_bytes: int = 0,
) -> Replayed:
    ends = {end for pair in paths for end in pair}
    fleet = FleetPlan(
        BatchTiming(
            Iterations(100),
            5,
            block_count,
            400,
            kv_bytes_per_token=50,
            state_bytes_per_sequence=state_bytes,
        ),
        ContinuousBatchingPolicy(1000, None, sequences, 5, watermark),
        replica_count=len(ends),
        admission=Admission(timeout_ps=timeout_ps),
        disaggregation=Disaggregation(len({source for source, _ in paths}), paths),
    )
    found = replayed(fleet, requests)
    assert replayed(fleet, requests, every_step=True) == found
    return found


def test_a_cache_on_its_way():
    """Prefilled at 100, there at 670, then two tokens; the gap to the second is all of that."""
    found = serve([Request(0, 0, 10, 3)], {(0, 1): path(0)})
    (row,) = found.rows
    assert (row.first_token_ps, row.transfer_ps, row.finish_ps) == (100, 570, 870)
    assert (row.prefill_replica, row.replica) == (0, 1)
    assert found.gaps == Counter({670: 1, 100: 1})
    prefill, decode = found.totals.replicas
    assert (prefill.role, prefill.prompt_tokens, prefill.busy_ps) == ("prefill", 10, 100)
    assert (decode.role, decode.prompt_tokens, decode.busy_ps) == ("decode", 0, 200)
    assert (decode.transfer_count, decode.transfer_bytes) == (1, 500)
    assert (prefill.output_tokens, decode.output_tokens) == (0, 3)
    assert (found.sums["waiting_ps"], found.sums["running_ps"]) == (0, 870)
    # 10 tokens at the first until 670; from 100 on room for 10 at the second, then 11.
    assert found.sums["kv_token_ps"] == 10 * 670 + 10 * 570 + 10 * 100 + 11 * 100


def test_states_travel_with_the_cache():
    """Ten tokens of 50 bytes and a state of 250."""
    found = serve([Request(0, 0, 10, 3)], {(0, 1): path(0)}, state_bytes=250)
    assert found.rows[0].transfer_ps == 750 + 70
    assert found.totals.replicas[1].transfer_bytes == 750


def test_who_waits_for_room_to_decode():
    """One sequence at a time: request 1, prefilled at 200, is let in when 0 has ended, at 870."""
    found = serve([Request(n, 0, 10, 3) for n in range(2)], {(0, 1): path(0)}, sequences=1)
    assert found.column("first_token_ps") == [100, 200]
    assert found.column("decode_wait_ps") == [0, 670]
    assert found.column("transfer_ps") == [570, 570]
    assert found.column("finish_ps") == [870, 870 + 570 + 200]


def test_one_token_is_not_handed_on():
    """The prefill replica makes the first token; where that is all, nothing travels."""
    found = serve([Request(0, 0, 10, 1)], {(0, 1): path(0)})
    assert (found.rows[0].finish_ps, found.rows[0].transfer_ps) == (100, 0)
    assert found.totals.replicas[1].transfer_count == 0


def test_frames_are_paid_for():
    """500 bytes are 8 frames of 64 bytes, each 80 on the wire: 640 ps."""
    found = serve([Request(0, 0, 10, 2)], {(0, 1): path(0, payload=64, wire=80)})
    assert found.rows[0].transfer_ps == 640 + 70


@pytest.mark.parametrize(
    ("second", "transfers", "finishes"),
    [
        (path(0), [570, 1070], [870, 1370]),
        (path(1, 0), [570, 1070], [870, 1370]),
        (path(1), [570, 570], [870, 870]),
        (path(), [570, 570], [870, 870]),
    ],
    ids=["same link", "one link of two", "another link", "no link"],
)
def test_two_caches_that_share_a_link_follow_each_other(second, transfers, finishes):
    """Two prefill replicas are done at 100, and the decode replica has room for both."""
    requests = [Request(n, 0, 10, 3) for n in range(2)]
    found = serve(requests, {(0, 2): path(0), (1, 2): second})
    assert found.column("transfer_ps") == transfers
    assert found.column("finish_ps") == finishes


def test_a_link_is_held_until_the_last_byte_and_not_for_the_latency():
    """Of three transfers the third waits for both links; each arrives a latency later."""
    asked = [((0, 2), 500, 1000), ((1, 2), 800, 1100), ((0, 3), 100, 1200), ((0, 2), 1, 2500)]
    there, taken = sent(asked)
    assert there == {0: 1500 + 70, 1: 1900 + 70, 2: 2000 + 70, 3: 2501 + 70}
    assert taken == {0: 570, 1: 870, 2: 870, 3: 71}, "from being asked for"


def test_a_transfer_is_called_off_as_long_as_it_has_not_begun():
    """The second waits for the first; without it the third begins when the first is through."""
    asked = [((0, 2), 500, 1000), ((0, 2), 800, 1100), ((0, 2), 100, 1200)]
    there, _ = sent(asked, called_off={1: 1300, 0: 1300})
    assert there == {0: 1500 + 70, 2: 1600 + 70}, "what has begun goes on"


def sent(asked, called_off=None):
    """When caches are there, and how long each took, by number; some are called off at a time."""
    env, there = Environment(), {}
    paths = {(0, 2): path(0), (1, 2): path(1), (0, 3): path(0, 1)}
    sequences = [Sequence(Request(number, 0, 1, 1)) for number in range(len(asked))]
    transfers = Transfers(
        env, paths, lambda sequence, now: there.setdefault(sequence.request.request_id, now)
    )
    for number, (pair, size, at_ps) in enumerate(asked):
        Decision(
            env,
            at_ps,
            Priority.ARRIVAL,
            lambda decision: transfers.send(*decision.subject, int(env.now)),
            (sequences[number], pair, size),
        )
    for number, at_ps in (called_off or {}).items():
        Decision(
            env,
            at_ps,
            Priority.TIMEOUT,
            lambda decision: transfers.call_off(decision.subject, int(env.now)),
            sequences[number],
        )
    env.run()
    return there, {number: sequences[number].transfer_ps for number in there}


def test_the_decode_replica_with_the_fewest_tokens_goes_on():
    """Three answers at once and two decode replicas: 40, then 12 and 12 beside it."""
    requests = [Request(0, 0, 10, 30), Request(1, 0, 10, 2), Request(2, 0, 10, 2)]
    found = serve(requests, {(0, 1): path(), (0, 2): path()})
    assert found.column("replica") == [1, 2, 2]


def test_room_at_the_prefill_replica_is_free_when_the_cache_has_come():
    """Two blocks of three are taken by a cache that is there until 670: the next prompt waits."""
    requests = [Request(0, 0, 10, 3), Request(1, 200, 10, 1)]
    found = serve(requests, {(0, 1): path(0)}, block_count=3)
    assert found.rows[1].admitted_ps == 670


@pytest.mark.parametrize(("watermark", "admitted_ps"), [(0.2, 200), (0.3, 670)])
def test_the_watermark_stays_free_beside_a_cache_that_is_to_be_fetched(watermark, admitted_ps):
    """Two of ten blocks are held for the decode replica; of the other eight six are wanted."""
    requests = [Request(0, 0, 10, 3), Request(1, 200, 30, 1)]
    found = serve(requests, {(0, 1): path(0)}, block_count=10, watermark=watermark)
    assert found.rows[1].admitted_ps == admitted_ps


def test_who_gives_up_while_its_cache_travels_leaves_when_that_has_come():
    """Given up at 450, gone at 670, when the prefill replica has its two blocks of seven back.

    The next prompt needs six of them.
    """
    requests = [Request(0, 0, 10, 20), Request(1, 400, 30, 1)]
    found = serve(requests, {(0, 1): path(0)}, block_count=7, timeout_ps=450)
    assert found.column("outcome") == [Outcome.TIMED_OUT, Outcome.FINISHED]
    assert (found.rows[0].first_token_ps, found.rows[0].transfer_ps) == (100, 570)
    assert (found.rows[1].admitted_ps, found.rows[1].finish_ps) == (670, 770)
    assert (found.sums["waiting_ps"], found.sums["running_ps"]) == (270, 670 + 100)
    assert found.sums["output_tokens"] == 1 + 1


def test_who_gives_up_while_waiting_for_the_decode_pool_frees_the_prefill_replica_at_once():
    """One sequence at a time. Request 0 decodes from 670; request 1, prefilled at 200, waits.

    Both give up at 800: the one leaves when its iteration ends at 870, the other's cache is wanted
    by nobody, so request 2, which needs all the blocks there are, is let in at 800.
    """
    requests = [Request(0, 0, 10, 25), Request(1, 0, 10, 2), Request(2, 790, 34, 1)]
    found = serve(requests, {(0, 1): path(0)}, block_count=7, sequences=1, timeout_ps=800)
    assert found.column("outcome") == [Outcome.TIMED_OUT] * 2 + [Outcome.FINISHED]
    assert found.column("admitted_ps") == [0, 100, 800]
    assert found.column("transfer_ps") == [570, 0, 0]
    assert found.sums["waiting_ps"] == 100 + 600 + 10
    assert found.sums["running_ps"] == 870 + 100 + 100
    assert found.sums["output_tokens"] == 1 + 2 + 1 + 1


def test_a_sequence_without_blocks_at_the_decode_replica_is_prefilled_there():
    """Four blocks of five. Both caches of 10 tokens fit; then both want a third block at once.

    The younger, of which one token is out since 100, is thrown out as it joins at 670. It waits
    until request 0 has ended, and prefills 11 tokens on the decode replica itself.
    """
    requests = [Request(0, 0, 10, 3), Request(1, 0, 10, 3)]
    paths = {(0, 2): path(0), (1, 2): path(1)}
    found = serve(requests, paths, block_count=4)
    assert found.column("preemptions") == [0, 1]
    assert found.column("finish_ps") == [870, 870 + 200]
    assert found.gaps == Counter({670: 1, 970 - 100: 1, 100: 2})
    assert found.sums["recomputed_tokens"] == 11
    assert found.totals.replicas[2].recomputed_tokens == 11
