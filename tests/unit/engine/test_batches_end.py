"""Batches that end wrong say so: who waits for what, and which books do not balance."""

import pytest
from replays import Iterations
from simpy import Environment

from rack_sim.compiler.batches import BatchTiming
from rack_sim.compiler.slots import SlotTiming
from rack_sim.engine.observer import Sequence
from rack_sim.engine.policies import ContinuousBatchingPolicy, StaticSlotsPolicy
from rack_sim.engine.policies.continuous_batching import ContinuousBatching
from rack_sim.engine.policies.policy import ReplicaPlace
from rack_sim.engine.policies.replica import Admission
from rack_sim.engine.policies.static_slots import StaticSlots
from rack_sim.engine.policies.stepped_batching import SteppedBatching
from rack_sim.engine.timeline import Timeline
from rack_sim.foundation.errors import ConservationError, DeadlockError
from rack_sim.metrics.log import Collector
from rack_sim.workload.request import Request

TIMING = BatchTiming(Iterations(100), 4, 50, 400)
POLICY = ContinuousBatchingPolicy(64, None, 2, 4, 0.0)


class Nobody:
    """A fleet that does not listen."""

    def ended(self, sequence, now):
        """A request has left."""


@pytest.fixture(params=[ContinuousBatching, SteppedBatching])
def server(request) -> ContinuousBatching | SteppedBatching:
    collector = Collector()
    line = Timeline(1000, collector.timeline)
    place = ReplicaPlace(Environment(), 3, Admission(), collector, line, Nobody())
    return request.param(place, TIMING, POLICY)


def test_a_request_that_was_never_served_is_named(server):
    """The clock never runs: twelve requests wait, of which ten are named."""
    for number in range(12):
        server.submit(Request(number, 0, 6, 2))
    with pytest.raises(DeadlockError) as caught:
        server.check_empty()
    said = str(caught.value)
    assert "request 0 waits for admission at replica 3" in said
    assert said.count("request ") == 10


def test_who_is_in_the_batch_for_ever_is_named(server):
    """The clock stops in the first iteration: two are in the batch, one waits for them."""
    for number in range(3):
        server.submit(Request(number, 0, 6, 2))
    server.env.run(until=50)
    with pytest.raises(DeadlockError) as caught:
        server.check_empty()
    said = str(caught.value)
    assert "request 2 waits for admission at replica 3; request 0 is in the batch" in said
    assert "request 1 is in the batch" in said


@pytest.mark.parametrize(
    ("attribute", "what"),
    [
        ("free_units", "room of the cache: 49 against 50"),
        ("kv_tokens", "cached tokens: -1 against 0"),
        ("decoding", "decoding sequences: -1 against 0"),
    ],
)
def test_books_that_do_not_balance_are_named(server, attribute, what):
    """Taking one of anything away breaks one balance, and only that one is named."""
    for number in range(3):
        server.submit(Request(number, 0, 6, 2))
    server.env.run()
    server.check_empty()
    setattr(server, attribute, getattr(server, attribute) - 1)
    with pytest.raises(ConservationError) as caught:
        server.check_empty()
    assert what in str(caught.value)
    assert str(caught.value).count("against") == 1


def test_what_was_handed_on_and_kept_is_named(server):
    server.held[7] = Sequence(Request(7, 0, 1, 1))
    with pytest.raises(ConservationError, match="handed on and kept: 1 against 0"):
        server.check_empty()


def test_context_of_nobody_is_named(server):
    """A sequence of five tokens that decodes, and is in no batch: it reads them and itself."""
    server.join(Sequence(Request(7, 0, 5, 9), cached_tokens=5, emitted=1))
    with pytest.raises(ConservationError, match="context of nobody: 6 against 0"):
        server.check_empty()


def slots() -> StaticSlots:
    collector = Collector()
    line = Timeline(1000, collector.timeline)
    place = ReplicaPlace(Environment(), 3, Admission(), collector, line, Nobody())
    timing = SlotTiming(1, 4, 10, 35, context_tokens=100, kv_tokens=100)
    return StaticSlots(place, timing, StaticSlotsPolicy("request"))


def test_of_slots_too_ten_are_named():
    """One is admitted, thirteen wait."""
    stuck = slots()
    for number in range(14):
        stuck.submit(Request(number, 0, 60, 20))
    with pytest.raises(DeadlockError) as caught:
        stuck.check_empty()
    said = str(caught.value)
    assert "stopped with 1 sequences running; request 1 waits for admission" in said
    assert said.count("request ") == 10


def test_one_that_runs_and_waits_for_nothing_is_told():
    stuck = slots()
    stuck.running = 1
    with pytest.raises(DeadlockError) as caught:
        stuck.check_empty()
    assert "with 1 sequences running; no request says what it waits for" in str(caught.value)
