"""Deadlines and what is unfinished at one replica: what routers look at, and who is given up when.

One slot server by itself: four slots 10 ps apart, a token 35 ps after its row, one a revolution.
"""

import pytest
from simpy import Environment

from rack_sim.compiler.slots import SlotTiming
from rack_sim.engine.decision import Decision, Priority
from rack_sim.engine.observer import Outcome
from rack_sim.engine.policies import StaticSlotsPolicy
from rack_sim.engine.policies.policy import ReplicaPlace
from rack_sim.engine.policies.replica import Admission
from rack_sim.engine.policies.static_slots import StaticSlots
from rack_sim.engine.timeline import Timeline
from rack_sim.workload.request import Request

LONG = 10**6


class Witness:
    """Fleet and observer of one replica: when each request ended, and how."""

    def __init__(self, timeout_ps: int | None, **admission: object) -> None:
        self.env = Environment()
        self.ended_ps: dict[int, int] = {}
        self.outcomes: dict[int, Outcome] = {}
        self.unfinished: list[tuple[int, int]] = []
        self.deadlines: list[tuple[int, int]] = []
        asked = Admission(timeout_ps=timeout_ps, **admission)
        line = Timeline(10**9, lambda first, rows: None)
        self.server = StaticSlots(
            ReplicaPlace(self.env, 0, asked, self, line, self),
            SlotTiming(1, 4, 10, 35, context_tokens=2 * LONG, kv_tokens=8 * LONG),
            StaticSlotsPolicy("request"),
        )

    def run(self, requests: list[Request]) -> None:
        for request in requests:
            Decision(self.env, request.arrival_ps, Priority.ARRIVAL, self.submit, request)
        self.env.run()
        self.server.check_empty()

    def submit(self, decision: Decision) -> None:
        server = self.server
        server.submit(decision.subject)
        self.unfinished.append((server.unfinished_count, server.unfinished_tokens))
        self.deadlines.append((len(server._deadlines), server.unfinished_count))

    def ended(self, sequence, now: int) -> None:
        self.ended_ps[sequence.request.request_id] = now

    def holder(self, sequence) -> StaticSlots:
        return self.server

    def finished(self, sequence) -> None:
        self.outcomes[sequence.request.request_id] = Outcome.FINISHED

    def turned_away(self, sequence, outcome: Outcome) -> None:
        self.outcomes[sequence.request.request_id] = outcome

    def gaps(self, first_ps: int, step_ps: int, count: int, weight: int) -> None:
        pass


@pytest.mark.parametrize("long", [{0, 700}, {700}, {1, 700, 701}, set()])
def test_deadlines_of_those_who_ended_are_forgotten(long):
    """Thousands end at once, long before their deadline; those who do not are given up at it.

    So many as are unfinished, twice, and about a thousand more are kept.
    """
    witness = Witness(timeout_ps=10**6)
    requests = [Request(n, 100 * n, 1, LONG if n in long else 1) for n in range(5000)]
    witness.run(requests)
    for request in requests:
        number = request.request_id
        gives_up = number in long
        assert witness.outcomes[number] is (Outcome.TIMED_OUT if gives_up else Outcome.FINISHED)
        if gives_up:
            assert witness.ended_ps[number] == request.arrival_ps + 10**6
    assert max(kept for kept, _ in witness.deadlines) > 1000
    assert all(kept <= 2 * unfinished + 1025 for kept, unfinished in witness.deadlines)


@pytest.mark.parametrize("timeout_ps", [0, 1, 34])
def test_all_deadlines_of_one_instant_are_met_in_it(timeout_ps):
    """Three at once and one a picosecond later; nobody can have a token by then."""
    witness = Witness(timeout_ps)
    witness.run([Request(n, n // 3, 5, 5) for n in range(4)])
    assert set(witness.outcomes.values()) == {Outcome.TIMED_OUT}
    assert witness.ended_ps == {0: timeout_ps, 1: timeout_ps, 2: timeout_ps, 3: timeout_ps + 1}


def test_a_deadline_behind_those_who_ended_is_waited_for():
    """Two end at 35 and 45; the deadline of the third, which does not, is looked at later."""
    witness = Witness(1000)
    witness.run([Request(0, 0, 1, 1), Request(1, 0, 1, 1), Request(2, 200, 1, 99)])
    assert witness.ended_ps == {0: 35, 1: 45, 2: 1200}


def test_what_is_unfinished_is_told_until_it_ends():
    """Requests and all their tokens; refused ones never count, however they end nobody is left."""
    witness = Witness(3000, queue_limit=0)
    requests = [
        Request(0, 0, 1, 2),  # ends at 75
        Request(1, 0, 3, 90),  # is given up
        Request(2, 10, LONG, LONG + 1),  # does not fit
        Request(3, 74, 10, 20),
        Request(4, 76, 1, 1),
        Request(5, 77, 1, 30),
        Request(6, 78, 1, 1),  # finds no slot, and no place in the queue
        Request(7, 9000, 4, 4),
    ]
    witness.run(requests)
    assert witness.outcomes[2] is Outcome.REJECTED_CONTEXT
    assert witness.outcomes[6] is Outcome.REJECTED_QUEUE
    assert witness.outcomes[1] is Outcome.TIMED_OUT
    assert witness.unfinished == [
        (1, 3),
        (2, 3 + 93),
        (2, 96),
        (3, 96 + 30),
        (3, 93 + 30 + 2),
        (4, 125 + 31),
        (4, 156),
        (1, 8),
    ]
    assert (witness.server.unfinished_count, witness.server.unfinished_tokens) == (0, 0)


def test_the_books_count_every_request_once():
    witness = Witness(3000, queue_limit=0)
    witness.run([Request(n, 0, 2, 99) for n in range(6)] + [Request(6, 50, 2 * LONG, 1)])
    books = witness.server.closed_books()
    assert (books.request_count, books.finished_count) == (7, 0)
    assert (books.timed_out_count, books.rejected_count) == (4, 3)
