"""The prefix cache finds the longest prefix and forgets what was used least recently."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.engine.policies.prefix_cache import PrefixCache, PrefixCaching, check_hashes
from rack_sim.foundation.errors import InputError
from rack_sim.workload.request import Request

BLOCK = 4


def prompt(*hashes, tokens=None):
    return Request(0, 0, tokens or BLOCK * len(hashes), 1, hashes)


def cache(capacity):
    return PrefixCache(PrefixCaching(BLOCK, capacity))


def test_the_longest_prefix_counts_and_nothing_behind_a_hole():
    found = cache(10)
    found.add(prompt(1, 2, 3))
    assert found.hit_blocks(prompt(1, 2, 3, 4)) == 3
    assert found.hit_blocks(prompt(1, 2, 9, 3)) == 2
    assert found.hit_blocks(prompt(2, 3)) == 2, "names stand for all that is before them"
    assert found.hit_blocks(prompt(9, 1, 2, 3)) == 0
    assert found.hit_blocks(Request(0, 0, 5, 1)) == 0


def test_one_token_at_least_is_left():
    """Something has to pass the model to make the next token."""
    found = cache(10)
    found.add(prompt(1, 2))
    assert found.hit_tokens(prompt(1, 2)) == 2 * BLOCK - 1
    assert found.hit_tokens(prompt(1, 2, tokens=2 * BLOCK - 3)) == 2 * BLOCK - 4
    assert found.hit_tokens(prompt(1, 2, 3)) == 2 * BLOCK
    assert found.hit_tokens(prompt(1, tokens=1)) == 0


def test_the_tail_of_the_oldest_prompt_goes_first():
    found = cache(5)
    found.add(prompt(1, 2, 3))
    found.add(prompt(4, 5))
    found.add(prompt(6))
    assert found.hit_blocks(prompt(1, 2, 3)) == 2
    assert found.hit_blocks(prompt(4, 5)) == 2
    found.add(prompt(7))
    assert found.hit_blocks(prompt(1, 2, 3)) == 1


def test_a_hit_counts_as_a_use_and_looking_does_not():
    found = cache(4)
    found.add(prompt(1, 2))
    found.add(prompt(3, 4))
    assert found.hit_blocks(prompt(1, 2)) == 2
    found.add(prompt(5))
    assert found.hit_blocks(prompt(1, 2)) == 1, "only looked at: the oldest still"
    found.hit_tokens(prompt(1))
    found.add(prompt(6, 7))
    assert found.hit_blocks(prompt(1)) == 1
    assert found.hit_blocks(prompt(3, 4)) == 0


def test_after_a_hit_too_the_tail_goes_before_the_head():
    """Else a prompt that was just found would lose its first block, and so be lost whole."""
    found = cache(3)
    found.add(prompt(1, 2, 3))
    found.hit_tokens(prompt(1, 2, 3, 4))
    found.add(prompt(8))
    assert found.hit_blocks(prompt(1, 2, 3)) == 2


def test_a_prompt_longer_than_the_store_leaves_its_beginning():
    found = cache(2)
    found.add(prompt(1, 2, 3, 4))
    assert found.hit_blocks(prompt(1, 2, 3, 4)) == 2


class Naive:
    """Blocks with the time of their last use; the oldest is searched for."""

    def __init__(self, capacity):
        self.capacity, self.used, self.clock = capacity, {}, 0

    def use(self, names):
        for name in reversed(names):
            self.clock += 1
            self.used[name] = self.clock

    def hits(self, names):
        count = 0
        while count < len(names) and names[count] in self.used:
            count += 1
        return count

    def add(self, names):
        self.use(names[: self.capacity])
        while len(self.used) > self.capacity:
            self.used.pop(min(self.used, key=self.used.__getitem__))


@given(
    capacity=st.integers(1, 8),
    prompts=st.lists(
        st.tuples(
            st.lists(st.integers(0, 11), min_size=1, max_size=6),
            st.integers(1, BLOCK),
            st.booleans(),
        ),
        max_size=40,
    ),
)
def test_against_a_cache_that_searches(capacity, prompts):
    found, model = cache(capacity), Naive(capacity)
    for names, last_tokens, is_added in prompts:
        request = prompt(*names, tokens=BLOCK * (len(names) - 1) + last_tokens)
        hits = model.hits(names)
        assert found.hit_blocks(request) == hits
        tokens = found.hit_tokens(request)
        assert tokens == min(hits * BLOCK, request.input_tokens - 1)
        model.use(names[:hits])
        if is_added:
            found.add(request)
            model.add(names)
        assert set(found._blocks) == set(model.used)
        assert len(found._blocks) <= capacity
        assert list(found._blocks) == sorted(model.used, key=model.used.__getitem__)


@pytest.mark.parametrize(
    ("request_", "message"),
    [(Request(3, 0, 9, 1), "has none, not 3"), (Request(3, 0, 9, 1, (1, 2)), "2 block hashes")],
)
def test_hashes_that_do_not_cover_the_prompt_are_told(request_, message):
    with pytest.raises(InputError, match=message):
        check_hashes(request_, BLOCK)
    check_hashes(Request(3, 0, 9, 1, (1, 2, 3)), BLOCK)
