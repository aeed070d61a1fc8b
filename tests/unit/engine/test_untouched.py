"""What is so before anything has happened, and what a fleet is where nothing else is asked for."""

from dataclasses import fields

import pytest
from replays import Iterations
from simpy import Environment

from rack_sim.compiler.batches import BatchTiming
from rack_sim.compiler.slots import SlotTiming
from rack_sim.engine.decision import Decision, Priority
from rack_sim.engine.fleet import FleetPlan, Serving
from rack_sim.engine.observer import Outcome, Sequence
from rack_sim.engine.policies import ContinuousBatchingPolicy, StaticSlotsPolicy
from rack_sim.engine.policies.policy import ReplicaPlace
from rack_sim.engine.policies.replica import Admission, ReplicaBooks
from rack_sim.engine.policies.static_slots import StaticSlots
from rack_sim.engine.programs import Entry
from rack_sim.engine.serving import ReplayTotals
from rack_sim.engine.speculation import Speculation
from rack_sim.engine.timeline import Timeline
from rack_sim.engine.transfers import TransferPath
from rack_sim.workload.request import Request

NOT_YET = {
    "admitted_ps",
    "prefill_start_ps",
    "prefill_end_ps",
    "first_token_ps",
    "finish_ps",
    "last_token_ps",
    "slot",
    "prefill_replica",
    "joined_clock",
    "end_clock",
}


class Nobody:
    """A fleet and an observer that keep who was turned away, and do nothing about it."""

    def __init__(self) -> None:
        self.turned: list[tuple[Sequence, Outcome]] = []

    def turned_away(self, sequence: Sequence, outcome: Outcome) -> None:
        self.turned.append((sequence, outcome))

    def ended(self, sequence: Sequence, now: int) -> None:
        pass


def server(listener: Nobody) -> StaticSlots:
    timing = SlotTiming(2, 4, 10, 35, context_tokens=7, kv_tokens=99)
    line = Timeline(1000, lambda first, rows: None)
    place = ReplicaPlace(Environment(), 5, Admission(), listener, line, listener)
    return StaticSlots(place, timing, StaticSlotsPolicy("request"))


def test_a_sequence_that_was_turned_away_has_no_times_and_no_counts():
    """What it never had is -1, what counts is 0; only its prompt is still to be done."""
    listener, request = Nobody(), Request(0, 0, 9, 1)
    server(listener).submit(request)
    ((sequence, outcome),) = listener.turned
    assert outcome.status == "rejected"
    found = {field.name: getattr(sequence, field.name) for field in fields(Sequence)}
    assert found.pop("request") is request
    assert (found.pop("replica"), found.pop("prompt_left")) == (5, 9)
    assert found.pop("steps") is None
    assert found.pop("ended") is True
    assert found == {name: -1 if name in NOT_YET else 0 for name in found}
    assert found.keys() >= NOT_YET
    assert not Sequence(request).ended


def test_the_books_of_a_new_replica_are_empty():
    books = server(Nobody()).closed_books()
    found = {field.name: getattr(books, field.name) for field in fields(ReplicaBooks)}
    assert (found.pop("number"), found.pop("role"), found.pop("kv_tokens")) == (5, "both", 99)
    assert set(found.values()) == {0}


def test_a_fleet_is_one_replica_unless_more_is_asked_for():
    """No limits, no timeouts, no caches, no draft, and the seed 0."""
    timing = BatchTiming(Iterations(1), 1, 1, 1)
    fleet, serving = FleetPlan(timing, ContinuousBatchingPolicy()), Serving(StaticSlotsPolicy())
    assert (fleet.replica_count, fleet.router, fleet.seed) == (1, "round_robin", 0)
    assert (fleet.speculation, fleet.disaggregation, fleet.numbers) == (None, None, None)
    assert fleet.prefill_count == 0
    assert fleet.admission == Admission("fcfs", None, None, None)
    assert (serving.replica_count, serving.router, serving.seed) == (1, "round_robin", 0)
    assert (serving.order, serving.queue_limit, serving.timeout_ps) == ("fcfs", None, None)
    assert (serving.prefix_store, serving.speculation, serving.pools) == (None, None, None)
    assert serving.draft_latency_ps == 0
    assert StaticSlotsPolicy() == StaticSlotsPolicy("max_context", "decode", ())
    assert Speculation((0.5,)) == Speculation((0.5,), 0)


def test_batches_are_those_of_engines_in_use():
    """2048 tokens and 256 sequences an iteration, blocks of 16, one of a hundred spare."""
    assert ContinuousBatchingPolicy() == ContinuousBatchingPolicy(2048, None, 256, 16, 0.01)


def test_a_step_follows_none_and_a_path_is_without_frames():
    assert Entry(0, 7).after == -1
    assert TransferPath((), 1, 10**12).serialisation_ps(77) == 77
    assert ReplayTotals(1, 2, 3, 4) == ReplayTotals(1, 2, 3, 4, (), None, None, {})


def test_outcomes_are_stored_by_these_numbers():
    """They stand in files, so they never change; each belongs to one of three ends."""
    assert {outcome.name: (outcome.value, outcome.status) for outcome in Outcome} == {
        "FINISHED": (0, "finished"),
        "REJECTED_CONTEXT": (1, "rejected"),
        "REJECTED_KV": (2, "rejected"),
        "REJECTED_QUEUE": (3, "rejected"),
        "TIMED_OUT": (4, "timed_out"),
    }


@pytest.mark.parametrize("place", [0, 1, 2**40 - 1])
def test_what_comes_first_at_one_instant(place):
    """By priority whatever the place, then by place, then as they were made; never by instant."""
    env, order = Environment(), []

    def made(name, at_ps, priority, where):
        Decision(env, at_ps, priority, lambda decision: order.append(decision.subject), name, where)

    made("later", 11, Priority.COMPLETION, 0)
    made("entry", 10, Priority.ENTRY, 0)
    made("second arrival", 10, Priority.ARRIVAL, place)
    made("third arrival", 10, Priority.ARRIVAL, place)
    made("first arrival", 10, Priority.ARRIVAL, max(place - 1, 0))
    made("timeout", 10, Priority.TIMEOUT, place)
    made("completion", 10, Priority.COMPLETION, place)
    env.run()
    arrivals = ["first arrival", "second arrival", "third arrival"]
    if place == 0:
        arrivals = ["second arrival", "third arrival", "first arrival"]
    assert order == ["completion", "timeout", *arrivals, "entry", "later"]
    assert env.now == 11
