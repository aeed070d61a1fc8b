"""A replay that ends wrong says so: who waits for what, and which books do not balance."""

import pytest
from simpy import Environment

from rack_sim.compiler.slots import SlotTiming
from rack_sim.engine.policies import StaticSlotsPolicy
from rack_sim.engine.policies.policy import ReplicaPlace
from rack_sim.engine.policies.replica import Admission
from rack_sim.engine.policies.static_slots import StaticSlots
from rack_sim.engine.timeline import Timeline
from rack_sim.foundation.errors import ConservationError, DeadlockError
from rack_sim.metrics.log import Collector
from rack_sim.workload.request import Request


class Nobody:
    """A fleet that does not listen."""

    def ended(self, sequence, now):
        """A request has left."""


TIMING = SlotTiming(1, 4, 10, 35, context_tokens=100, kv_tokens=100)


def server() -> StaticSlots:
    collector = Collector()
    line = Timeline(1000, collector.timeline)
    place = ReplicaPlace(Environment(), 3, Admission(), collector, line, Nobody())
    return StaticSlots(place, TIMING, StaticSlotsPolicy("request"))


def test_a_request_that_was_never_served_is_named():
    """The clock never runs: request 5 is admitted, request 6 waits for its reservation."""
    stuck = server()
    stuck.submit(Request(5, 0, 60, 20))
    stuck.submit(Request(6, 0, 60, 20))
    with pytest.raises(DeadlockError) as error:
        stuck.check_empty()
    assert "request 6 waits for admission at replica 3" in str(error.value)
    assert "request 5 waits for 60 prompt rows" in str(error.value)


@pytest.mark.parametrize(
    ("attribute", "what"),
    [
        ("kv_tokens_free", "cached tokens: 99 against 100"),
        ("row_step_count", "rows used and tokens served: -1 against 0"),
        ("_free_total", "free seats: 3 against 4"),
    ],
)
def test_books_that_do_not_balance_are_named(attribute, what):
    """Taking one of anything away breaks one balance, and only that one is named."""
    broken = server()
    setattr(broken, attribute, getattr(broken, attribute) - 1)
    with pytest.raises(ConservationError) as error:
        broken.check_empty()
    assert what in str(error.value)
    assert str(error.value).count("against") == 1


def test_a_fresh_server_balances():
    """Nothing taken, nothing missing."""
    server().check_empty()
