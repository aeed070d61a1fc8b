"""How many blocks the next iterations take, and for how many so many are enough, one by one."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from rack_sim.engine.policies.continuous_batching import ContinuousBatching

counts = st.lists(st.integers(0, 3), min_size=1, max_size=9).filter(any)


def taken(wanting: list[int], clock: int, count: int) -> int:
    """Each sequence wants a block whenever its last is full: once in a block's size."""
    return sum(wanting[(clock + number) % len(wanting)] for number in range(count))


def batch(wanting: list[int], clock: int) -> SimpleNamespace:
    """As many sequences as want a block in any iteration of a block's size."""
    return SimpleNamespace(
        block_tokens=len(wanting), _wanting=wanting, _clock=clock, decoding=sum(wanting)
    )


@given(wanting=counts, clock=st.integers(0, 40), count=st.integers(0, 50))
def test_blocks_of_the_next_iterations(wanting, clock, count):
    found = ContinuousBatching._blocks_in(batch(wanting, clock), count)
    assert found == taken(wanting, clock, count)


@given(wanting=counts, clock=st.integers(0, 40), blocks=st.integers(0, 60))
def test_the_most_iterations_for_which_blocks_are_enough(wanting, clock, blocks):
    """They are; and one more iteration takes one too many."""
    found = ContinuousBatching._iterations_with(batch(wanting, clock), blocks)
    assert taken(wanting, clock, found) <= blocks < taken(wanting, clock, found + 1)
