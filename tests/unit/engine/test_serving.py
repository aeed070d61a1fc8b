"""One replay as a whole: arrivals, who is told what and when, and how it ends."""

from dataclasses import dataclass, field, replace

import pytest
from replays import Iterations, Listed, Replayed, one_server, replayed

from rack_sim.compiler.batches import BatchTiming
from rack_sim.compiler.slots import SlotTiming
from rack_sim.engine.fleet import Disaggregation, FleetPlan
from rack_sim.engine.observer import Outcome, Sequence
from rack_sim.engine.policies import ContinuousBatchingPolicy, StaticSlotsPolicy
from rack_sim.engine.policies.replica import Admission
from rack_sim.engine.serving import replay
from rack_sim.engine.transfers import TransferPath
from rack_sim.foundation.errors import InputError
from rack_sim.foundation.units import PS_PER_S
from rack_sim.workload.closed_loop import ClosedLoopWorkload
from rack_sim.workload.lengths import Fixed
from rack_sim.workload.request import Request

SLOTS = SlotTiming(1, 4, 100, 350, context_tokens=200, kv_tokens=1000)
STATIC = FleetPlan(SLOTS, StaticSlotsPolicy("request"))
DAY_S = 86_400


@dataclass
class Told:
    """An observer that keeps the order in which it is told things."""

    ended: int = 0
    progress_at: list[tuple[int, int]] = field(default_factory=list)
    bins: list[tuple[int, ...]] = field(default_factory=list)
    bins_at: list[int] = field(default_factory=list)

    def finished(self, sequence: Sequence) -> None:
        self.ended += 1

    def turned_away(self, sequence: Sequence, outcome: Outcome) -> None:
        self.ended += 1

    def gaps(self, first_ps: int, step_ps: int, count: int, weight: int) -> None:
        pass

    def timeline(self, first_bin: int, rows: list[tuple[int, ...]]) -> None:
        assert first_bin == len(self.bins), "in order, none missing"
        self.bins += rows
        self.bins_at.append(self.ended)

    def progress(self, now_ps: int) -> None:
        self.progress_at.append((self.ended, now_ps))


def told(requests: list[Request], fleet: FleetPlan = STATIC, bin_ps: int = 10**9) -> Told:
    found = Told()
    replay(fleet, Listed(requests), found, bin_ps=bin_ps)
    return found


def test_progress_is_told_once_for_256_requests():
    """Request n ends at 1000 n + 350, or is refused when it comes."""
    requests = [Request(n, 1000 * n, 1 if n % 2 else 201, 1) for n in range(700)]
    assert told(requests).progress_at == [(256, 255_350), (512, 511_350)]


def test_bins_are_handed_on_while_the_replay_runs():
    """A bin a request: long before the end the first thousands of bins are there, and stay so."""
    found = told([Request(n, 1000 * n, 1, 1) for n in range(3000)], bin_ps=1000)
    assert [row[0] for row in found.bins] == [1] * 3000
    assert found.bins_at[0] < 1000
    assert len(found.bins_at) > 5


def test_the_last_arrival_that_can_be_simulated():
    """92 days after the start; what comes later is refused, not cut off."""
    last_ps = 92 * DAY_S * PS_PER_S
    found = replayed(STATIC, [Request(0, 0, 1, 1), Request(1, last_ps, 1, 1)], bin_ps=PS_PER_S * 60)
    assert found.totals.request_count == 2
    assert found.totals.end_ps == last_ps + 350
    with pytest.raises(InputError) as caught:
        told([Request(0, 0, 1, 1), Request(1, last_ps + PS_PER_S, 1, 1)])
    said = str(caught.value)
    assert f"request 1 arrives {92 * DAY_S + 1:,} s after the start" in said
    assert f"at most {92 * DAY_S:,} s can be simulated" in said
    with pytest.raises(InputError):
        told([Request(0, last_ps + 1, 1, 1)])


def test_no_request_is_no_time():
    found = replayed(STATIC, [])
    assert (found.totals.request_count, found.totals.end_ps, found.rows) == (0, 0, [])
    assert (found.totals.batches, found.totals.first_batches) == (None, None)
    assert len(found.totals.replicas) == 1


@pytest.mark.parametrize("every_step", [False, True])
def test_a_user_asks_again_when_the_answer_is_there(every_step):
    """One user, 10 ps of thinking: entries are at 0, 400, 800, an answer takes 350."""
    users = ClosedLoopWorkload(1, 10, Fixed(1), Fixed(1), 0, 3)
    rows = replayed(STATIC, users, every_step=every_step).rows
    assert [row.arrival_ps for row in rows] == [0, 360, 760]
    assert [row.finish_ps for row in rows] == [350, 750, 1150]


def test_work_for_one_who_gave_up_is_worked_to_its_end():
    """An iteration of 500 ps that was begun for one who gave up at 50: the replay ends at 500."""
    fleet = one_server(500, admission=Admission(timeout_ps=50))
    found = replayed(fleet, [Request(0, 0, 500, 1)])
    assert found.column("outcome") == [Outcome.TIMED_OUT]
    assert found.totals.end_ps == 500
    assert found.totals.replicas[0].end_ps == 50


def pools(
    requests: list[Request],
    links: tuple[int, ...] = (),
    block_count: int = 100,
    **admission: object,
) -> Replayed:
    """Two replicas that prefill and two that decode; a cache takes 50 ps a token and 70 more."""
    paths = {(a, b): TransferPath(links, 70, 10**12) for a in (0, 1) for b in (2, 3)}
    fleet = FleetPlan(
        BatchTiming(Iterations(100), 5, block_count, 400, kv_bytes_per_token=50),
        ContinuousBatchingPolicy(1000, None, 8, 5, 0.0),
        replica_count=4,
        admission=Admission(**admission),
        disaggregation=Disaggregation(2, paths),
    )
    found = replayed(fleet, requests)
    assert replayed(fleet, requests, every_step=True) == found
    return found


def test_requests_go_to_the_replicas_that_prefill_and_on_to_the_least_loaded():
    """By turns to 0 and 1; on to 2, to 3, and then to 3 again, where fewer tokens are unfinished.

    Replica 0 hands on both of its requests before replica 1 does.
    """
    requests = [Request(0, 0, 10, 90), Request(1, 0, 10, 20), Request(2, 0, 10, 3)]
    found = pools(requests)
    assert found.column("prefill_replica") == [0, 1, 0]
    assert found.column("replica") == [2, 3, 3]
    roles = [books.role for books in found.totals.replicas]
    assert roles == ["prefill", "prefill", "decode", "decode"]
    assert [books.request_count for books in found.totals.replicas] == [2, 1, 0, 0]
    assert [books.transfer_count for books in found.totals.replicas] == [0, 0, 1, 2]
    assert [books.transfer_bytes for books in found.totals.replicas] == [0, 0, 500, 1000]
    # Ten tokens each, held until they are fetched, and room for them where they go.
    assert [books.parked_tokens_max for books in found.totals.replicas] == [20, 10, 10, 20]
    assert found.totals.transfers == {(0, 2): (1, 500), (0, 3): (1, 500), (1, 3): (1, 500)}


def test_a_cache_on_its_way_for_one_who_gave_up_arrives_before_the_end():
    """Given up at 150, and its cache, 500 ps and 70, is there at 670."""
    found = pools([Request(0, 0, 10, 9)], timeout_ps=150)
    assert found.column("outcome") == [Outcome.TIMED_OUT]
    assert found.totals.end_ps == 670


def test_a_cache_that_waits_for_its_link_is_called_off():
    """Both are asked for at 100, and one link carries them: the second would begin at 600.

    Both give up at 450. The first is there at 670; the second never goes, and its room at replica 1
    is free at once: request 3 needs five of its six blocks.
    """
    requests = [Request(0, 0, 10, 9), Request(1, 0, 10, 9)]
    requests += [Request(2, 440, 1, 1), Request(3, 440, 25, 1)]
    found = pools(requests, (0,), 6, timeout_ps=450)
    assert found.column("outcome") == [Outcome.TIMED_OUT] * 2 + [Outcome.FINISHED] * 2
    assert found.column("transfer_ps") == [570, 0, 0, 0]
    assert found.column("admitted_ps") == [0, 0, 440, 450]
    assert found.totals.transfers == {(0, 2): (1, 500)}
    assert [books.transfer_count for books in found.totals.replicas] == [0, 0, 1, 0]
    assert found.totals.end_ps == 670


def test_the_first_replica_s_iterations_are_told_apart():
    """Two requests by turns: three iterations and five."""
    timing = BatchTiming(Iterations(100), 5, 100, 400)
    fleet = FleetPlan(timing, ContinuousBatchingPolicy(1000, None, 8, 5, 0.0), replica_count=2)
    found = replayed(fleet, [Request(0, 0, 1, 3), Request(1, 0, 1, 5)])
    assert found.totals.first_batches.iteration_count == 3
    assert found.totals.batches.iteration_count == 3 + 5
    assert found.totals.transfers == {}
    assert (found.totals.busy_step_count, found.totals.row_step_count) == (0, 0)


def test_replicas_of_slots_add_up():
    """Three requests by turns over two replicas: 3 and 1 rows here, 2 there."""
    fleet = replace(STATIC, replica_count=2)
    found = replayed(fleet, [Request(0, 0, 2, 2), Request(1, 0, 1, 2), Request(2, 9000, 1, 1)])
    assert (found.totals.busy_step_count, found.totals.row_step_count) == (6, 6)
    assert [books.busy_ps for books in found.totals.replicas] == [400, 200]
    assert [books.number for books in found.totals.replicas] == [0, 1]
    assert found.totals.end_ps == 9350
