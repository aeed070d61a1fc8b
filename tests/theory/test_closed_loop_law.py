"""The closed-loop law N = X (R + Z): users, throughput, response time and think time.

A user's day is nothing but responses and thinking, one after the other, so over a run of T the sum
of all R + Z is N T but for its ends. A user's last request ends not before the last was issued, and
from then on at most the think time and the longest response pass until all have ended. So N T minus
the sum lies between -N Z and N times the longest response: that bound is asserted, in integers.
"""

import pytest
from replays import Iterations, Roof, replayed, shared_queue

from rack_sim.compiler.batches import BatchTiming
from rack_sim.compiler.slots import SlotTiming
from rack_sim.engine.fleet import FleetPlan
from rack_sim.engine.policies import ContinuousBatchingPolicy, StaticSlotsPolicy
from rack_sim.engine.routers import ROUTERS
from rack_sim.workload.closed_loop import ClosedLoopWorkload
from rack_sim.workload.lengths import Empirical, Fixed

BATCHES = BatchTiming(
    Iterations(500, 7, 3, (Roof("compute", 2, 0, 1), Roof("memory", 0, 3, 0))), 4, 60, 60
)
BATCHING = ContinuousBatchingPolicy(token_budget=24, max_sequences=8, block_tokens=4)
SLOTS = SlotTiming(2, 5, 100, 450, context_tokens=60, kv_tokens=300)
MACHINES = {
    "batches": (BATCHES, BATCHING),
    "slots": (SLOTS, StaticSlotsPolicy("request")),
}
LENGTHS = Empirical(((0.0, 1), (1.0, 25)))


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("users", [1, 3, 40])
@pytest.mark.parametrize("think_ps", [0, 1_000, 50_000])
@pytest.mark.parametrize("router", ["round_robin", "join_shortest_queue"])
def test_users_are_throughput_times_cycle(machine, users, think_ps, router):
    """The law within its end effects, which are less than a twentieth of the run."""
    timing, policy = MACHINES[machine]
    assert router in ROUTERS
    workload = ClosedLoopWorkload(users, think_ps, LENGTHS, LENGTHS, 3, max(400, 60 * users))
    fleet = FleetPlan(timing, policy, replica_count=2, router=router)
    found = replayed(fleet, workload)
    responses = [row.finish_ps - row.arrival_ps for row in found.rows]
    count, end_ps = len(responses), found.totals.end_ps
    missing = users * end_ps - sum(responses) - count * think_ps
    assert -users * think_ps <= missing <= users * max(responses)
    # As numbers a report shows: X in requests a ps, mean R; the bound is a small part of N.
    throughput, response = count / end_ps, sum(responses) / count
    ends = max(think_ps, *responses) / end_ps
    assert ends < 1 / 20
    assert throughput * (response + think_ps) == pytest.approx(users, rel=ends)


@pytest.mark.parametrize("users", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("think_ps", [0, 2_500, 10_000])
def test_equal_services_reach_the_asymptotes(users, think_ps):
    """One server, equal services D: R = max(D, N D - Z), once the first round is over.

    (Denning and Buzen, 1978: in general these are bounds; without chance they are attained, since
    the users keep the distance of a service that the first round gave them.)
    """
    service_ps = 1_000
    workload = ClosedLoopWorkload(users, think_ps, Fixed(1), Fixed(service_ps), 1, 50 * users)
    found = replayed(shared_queue(1, service_ps + 1), workload)
    later = [row.finish_ps - row.arrival_ps for row in found.rows[users:]]
    assert set(later) == {max(service_ps, users * service_ps - think_ps)}


@pytest.mark.parametrize("users", [1, 5, 8])
def test_a_batch_of_equal_users_moves_as_one(users):
    """Users who all fit: each cycle is one iteration of prompts and n - 1 of tokens.

    The prompts of all fit the budget; then iteration i reads i + inputs tokens of each user.
    """
    inputs, outputs, cycles = 3, 6, 20
    workload = ClosedLoopWorkload(users, 0, Fixed(inputs), Fixed(outputs), 1, cycles * users)
    found = replayed(FleetPlan(BATCHES, BATCHING), workload)
    rows = users * inputs
    pairs = users * inputs * (inputs + 1) // 2
    cycle_ps = 500 + 7 * rows + 3 * users + max(2 * pairs + rows, 3 * users * inputs)
    for said in range(1, outputs):
        context = users * (inputs + said)
        cycle_ps += 500 + 7 * users + 3 * users + max(2 * context + users, 3 * context)
    assert found.totals.end_ps == cycles * cycle_ps
    assert {row.finish_ps - row.arrival_ps for row in found.rows} == {cycle_ps}
