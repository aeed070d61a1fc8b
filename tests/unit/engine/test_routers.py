"""Routers choose what they say they choose, and stateless ones look at the request alone."""

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.engine.policies.prefix_cache import PrefixCache, PrefixCaching
from rack_sim.engine.routers import ROUTERS, stateless_router
from rack_sim.foundation.errors import InputError
from rack_sim.workload.request import Request


@dataclass
class Standing:
    """A replica as a router sees it."""

    number: int
    unfinished_count: int = 0
    unfinished_tokens: int = 0
    prefixes: PrefixCache | None = None


def request(number, session=-1, hashes=()):
    return Request(number, 0, 10, 10, hashes, session)


def standing(count):
    return [Standing(number) for number in range(count)]


STATELESS = sorted(name for name in ROUTERS if stateless_router(name, 0))


def test_which_routers_are_stateless():
    assert STATELESS == ["random", "round_robin", "session_affinity"]


@pytest.mark.parametrize("kind", STATELESS)
@given(
    numbers=st.lists(st.integers(0, 60_000), min_size=1, max_size=30),
    loads=st.lists(st.integers(0, 99), min_size=5, max_size=5),
)
def test_stateless_routers_depend_on_the_request_alone(kind, numbers, loads):
    """In any order, again, by another router of the same seed, however loaded the replicas are."""
    first, second = ROUTERS[kind](7), ROUTERS[kind](7)
    loaded = [Standing(number, load, load) for number, load in enumerate(loads)]
    chosen = {n: first.choose(request(n, n), standing(5)).number for n in numbers}
    for number in reversed(numbers):
        assert second.choose(request(number, number), loaded).number == chosen[number]
    for number in sorted(numbers):
        assert first.choose(request(number, number), loaded).number == chosen[number]


def test_round_robin_takes_turns():
    replicas = standing(3)
    router = ROUTERS["round_robin"](0)
    assert [router.choose(request(n), replicas).number for n in range(7)] == [0, 1, 2, 0, 1, 2, 0]


def chi_square(counts, cells):
    expected = counts.total() / cells
    return sum((counts[cell] - expected) ** 2 / expected for cell in range(cells))


# Of 7 degrees of freedom; exceeded with a chance of 1e-6 (and the seeds do not change).
CHI_SQUARE_BOUND = 40.5


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_random_is_uniform_and_does_not_remember(seed):
    """Counts of replicas, and of what follows replica 0."""
    router, replicas = ROUTERS["random"](seed), standing(8)
    chosen = [router.choose(request(n), replicas).number for n in range(40_000)]
    assert chi_square(Counter(chosen), 8) < CHI_SQUARE_BOUND
    after = Counter(b for a, b in pairwise(chosen) if a == 0)
    assert chi_square(after, 8) < CHI_SQUARE_BOUND


def test_random_differs_by_seed():
    replicas = standing(8)
    runs = [
        [router.choose(request(n), replicas).number for n in range(50)]
        for router in (ROUTERS["random"](0), ROUTERS["random"](1))
    ]
    assert runs[0] != runs[1]


def test_a_session_sticks_and_sessions_are_spread():
    router, replicas = ROUTERS["session_affinity"](3), standing(8)
    home = {s: router.choose(request(s, s), replicas).number for s in range(8000)}
    for number, session in enumerate([5, 77, 5, 1000, 77]):
        assert router.choose(request(9000 + number, session), replicas).number == home[session]
    assert chi_square(Counter(home.values()), 8) < CHI_SQUARE_BOUND


def test_seeds_spread_sessions_in_different_ways():
    """Not only the same groups of sessions under other names."""
    replicas = standing(4)
    loads = set()
    for seed in range(8):
        router = ROUTERS["session_affinity"](seed)
        counts = Counter(router.choose(request(s, s), replicas).number for s in range(64))
        loads.add(tuple(sorted(counts.values())))
    assert len(loads) > 1


def test_a_request_without_a_session_is_told():
    with pytest.raises(InputError, match=r"request 4 has none"):
        ROUTERS["session_affinity"](0).choose(request(4), standing(2))


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=8),
)
def test_the_least_loaded_is_chosen_and_of_equals_the_lowest(loads):
    replicas = [Standing(n, count, tokens) for n, (count, tokens) in enumerate(loads)]
    counts, tokens = [a for a, _ in loads], [b for _, b in loads]
    queue, token = ROUTERS["join_shortest_queue"](0), ROUTERS["least_outstanding_tokens"](0)
    assert queue.choose(request(0), replicas).number == counts.index(min(counts))
    assert token.choose(request(0), replicas).number == tokens.index(min(tokens))
    affinity = ROUTERS["prefix_affinity"](0)
    assert affinity.choose(request(0, hashes=(1,)), replicas).number == tokens.index(min(tokens))


def test_the_longest_prefix_is_chosen_whatever_the_load():
    caches = [PrefixCache(PrefixCaching(4, 10)) for _ in range(3)]
    caches[1].add(request(0, hashes=(1, 2)))
    caches[2].add(request(0, hashes=(1,)))
    replicas = [Standing(n, 0, load, caches[n]) for n, load in enumerate((0, 99, 5))]
    router = ROUTERS["prefix_affinity"](0)
    assert router.choose(request(1, hashes=(1, 2, 3)), replicas).number == 1
    assert router.choose(request(1, hashes=(1, 7)), replicas).number == 2
    assert router.choose(request(1, hashes=(7,)), replicas).number == 0
