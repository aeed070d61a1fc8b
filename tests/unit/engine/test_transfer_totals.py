"""Caches on links in all: bytes by their shares, and for how long each link was held."""

from fractions import Fraction

from replays import Iterations
from simpy import Environment

from rack_sim.compiler.batches import BatchTiming
from rack_sim.engine.fleet import Disaggregation, FleetPlan, transfers_on_links
from rack_sim.engine.observer import Sequence
from rack_sim.engine.policies import ContinuousBatchingPolicy
from rack_sim.engine.transfers import TransferPath, Transfers
from rack_sim.workload.request import Request

HALF, QUARTER = Fraction(1, 2), Fraction(1, 4)
PATHS = {
    # A byte a picosecond; and two, where 8 bytes are 10 on the wire.
    (0, 2): TransferPath((0, 1), 5, 10**12, 1, 1, ((0, 4), (1, 5)), (HALF, HALF)),
    (1, 2): TransferPath((1, 2), 5, 2 * 10**12, 8, 10, ((1, 5), (2, 6)), (QUARTER, 1 - QUARTER)),
}


def fleet(apart: Disaggregation | None) -> FleetPlan:
    timing = BatchTiming(Iterations(100), 5, 100, 400)
    return FleetPlan(timing, ContinuousBatchingPolicy(), 3, disaggregation=apart)


def test_bytes_and_times_add_up_by_link():
    """300 bytes in 300 ps over two links; 160 bytes, 200 on the wire, in 100 ps, one shared."""
    totals = {(0, 2): (3, 300), (1, 2): (2, 160)}
    moved, held = transfers_on_links(fleet(Disaggregation(2, PATHS)), totals)
    assert moved == {(0, 4): 150, (1, 5): 150 + 40, (2, 6): 120}
    assert held == {(0, 4): 300, (1, 5): 300 + 100, (2, 6): 100}


def test_without_pools_or_transfers_no_link_carries_anything():
    assert transfers_on_links(fleet(None), {}) == ({}, {})
    assert transfers_on_links(fleet(Disaggregation(2, PATHS)), {}) == ({}, {})


def test_transfers_that_have_begun_are_counted_by_pair():
    """Two of one pair and one of the other; a fourth is called off before it begins.

    The first holds links 0 and 1 until 40, the second waits for them and holds them until 100; the
    third wants link 1, is asked for after the second, and takes 8 bytes, 10 on the wire: 5 ps.
    """
    env, there = Environment(), []
    transfers = Transfers(env, PATHS, lambda sequence, now: there.append(now))
    sequences = [Sequence(Request(number, 0, 1, 1)) for number in range(4)]
    for sequence, pair, size in zip(
        sequences, [(0, 2), (0, 2), (1, 2), (0, 2)], [40, 60, 8, 9], strict=True
    ):
        transfers.send(sequence, pair, size, 0)
    assert transfers.call_off(sequences[3], 0)
    assert not transfers.call_off(sequences[0], 0), "it has begun"
    env.run()
    assert there == [40 + 5, 100 + 5, 105 + 5]
    assert transfers.carried == {(0, 2): [2, 100], (1, 2): [1, 8]}
    assert transfers.last_ps == 110
    assert [sequence.transfer_ps for sequence in sequences] == [45, 105, 110, 0]
