"""What the next iterations take of the room, and for how many so much is enough, one by one."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from rack_sim.compiler.cache_blocks import CacheBlocks, WindowBlocks
from rack_sim.engine.policies.block_demand import BlockDemand

SIZE = st.integers(1, 9)
WINDOWS = st.lists(
    st.builds(WindowBlocks, st.integers(1, 6), st.integers(1, 3)),
    max_size=2,
    unique_by=lambda window: window.most,
).map(tuple)
BLOCKS = st.builds(CacheBlocks, st.integers(1, 3), WINDOWS)
CACHED = st.lists(st.integers(1, 60), min_size=1, max_size=6)


def demand(blocks: CacheBlocks, size: int, cached: list[int], clock: int) -> BlockDemand:
    found = BlockDemand(SimpleNamespace(blocks=blocks, block_tokens=size))
    for tokens in cached:
        found.join(tokens, clock)
    return found


def taken(blocks: CacheBlocks, size: int, cached: list[int], count: int) -> int:
    """What sequences hold after so many tokens more, less what they hold now."""

    def held(tokens: int) -> int:
        return blocks.units(-(-tokens // size))

    return sum(held(tokens + count) - held(tokens) for tokens in cached)


@given(blocks=BLOCKS, size=SIZE, cached=CACHED, clock=st.integers(0, 40), count=st.integers(0, 80))
def test_the_room_of_the_next_iterations(blocks, size, cached, clock, count):
    """In as many goes as it takes: none goes past a drop."""
    found, left, here = demand(blocks, size, cached, clock), count, clock
    total = 0
    while left:
        drop = found.next_drop()
        go = left if drop is None else min(left, drop - here)
        assert go > 0
        assert found.at(here) == found.taken(here, 1)
        total += found.taken(here, go)
        here, left = here + go, left - go
        found.advance(here)
    assert total == taken(blocks, size, cached, count)
    # Who leaves takes what it would want with it.
    for tokens in cached:
        found.part(SimpleNamespace(cached_tokens=tokens, joined_clock=clock), here)
    assert found.units_per_turn == 0
    assert found.taken(here, 100) == 0


@given(size=SIZE, cached=CACHED, clock=st.integers(0, 40), units=st.integers(0, 60))
def test_the_most_iterations_for_which_room_is_enough(size, cached, clock, units):
    """It is; and one more iteration takes too much."""
    blocks = CacheBlocks()
    found = demand(blocks, size, cached, clock).iterations_with(clock, units)
    assert taken(blocks, size, cached, found) <= units < taken(blocks, size, cached, found + 1)
