"""Draws by their recipe: what was drawn once can be drawn again, by any program that knows it.

A stream is NumPy's Philox; its key are the first 16 bytes, little end first, of the SHA-256 of the
seed and the stream's name.
"""

from hashlib import sha256

import numpy as np
import pytest

from rack_sim.engine.policies.prefix_cache import PrefixCache, PrefixCaching
from rack_sim.engine.routers import ROUTERS
from rack_sim.engine.speculation import Speculation
from rack_sim.workload.request import Request


def key(seed: int, name: str) -> int:
    return int.from_bytes(sha256(f"{seed}/{name}".encode()).digest()[:16], "little")


@pytest.mark.parametrize("seed", [0, 7])
def test_random_routing_by_its_recipe(seed):
    """4096 numbers below 2**62 for each block of 4096 requests, modulo the number of replicas."""
    router, count = ROUTERS["random"](seed), 1009
    for block in (0, 3, 0, *range(12), 0):
        rng = np.random.Generator(np.random.Philox(key=key(seed, f"router/random/{block}")))
        drawn = rng.integers(0, 2**62, 4096).tolist()
        for place in (0, 1, 4095):
            request = Request(4096 * block + place, 0, 1, 1)
            assert router.choose(request, range(count)) == drawn[place] % count


def test_random_routing_keeps_few_blocks():
    """However many requests there are."""
    router = ROUTERS["random"](0)
    for block in range(40):
        router.choose(Request(4096 * block, 0, 1, 1), range(3))
    assert len(router._blocks) < 12


@pytest.mark.parametrize("seed", [0, 5])
@pytest.mark.parametrize("number", [0, 1, 10**6])
def test_drafts_by_their_recipe(seed, number):
    """A number a token, from place ``request << 64`` of one stream on; a position holds below p."""
    rates, outputs = (0.9, 0.7, 0.4), 60
    bits = np.random.Philox(key=key(seed, "speculation"), counter=number << 64)
    draws = np.random.Generator(bits).random(outputs - 1)
    steps = []
    for draw in draws:
        chance, kept = 1.0, 0
        for rate in rates:
            chance *= rate
            kept += draw < chance
        steps.append(min(kept + 1, outputs - 1 - sum(steps)))
        if sum(steps) == outputs - 1:
            break
    found = Speculation(rates, seed).emitted(Request(number, 0, 1, outputs))
    assert found.tolist() == steps


def test_a_draft_is_what_it_is_told():
    """Equal by rates and seed; what it works out from them is no part of it."""
    assert Speculation((0.5, 0.4), 3) == Speculation((0.5, 0.4), 3)
    assert Speculation((0.5, 0.4), 3) != Speculation((0.5, 0.4), 4)
    assert hash(Speculation((0.5, 0.4), 3)) == hash(Speculation((0.5, 0.4), 3))
    assert repr(Speculation((0.5, 0.4), 3)) == "Speculation(rates=(0.5, 0.4), seed=3)"


# SplitMix64 from the state 0, and from 1234567 the first two numbers, as published with it.
GOLDEN_GAMMA = 0x9E3779B97F4A7C15
SPLITMIX = {
    1234567: 6457827717110365317,
    1234567 + GOLDEN_GAMMA: 3203168211198807973,
}


@pytest.mark.parametrize(("state", "mixed"), SPLITMIX.items())
def test_sessions_are_hashed_by_splitmix64(state, mixed):
    """The session is mixed with the mixed seed: for the seed 0 that is SplitMix64's first."""
    salt = 0xE220A8397B1DCDAF
    router = ROUTERS["session_affinity"](0)
    for count in (2, 1000, 2**40):
        request = Request(0, 0, 1, 1, session=state ^ salt)
        assert router.choose(request, range(count)) == mixed % count


def test_session_zero_is_a_session():
    assert ROUTERS["session_affinity"](0).choose(Request(0, 0, 1, 1, session=0), range(1)) == 0


class Standing:
    """A replica as a router sees it."""

    def __init__(self, count: int, tokens: int, cache: PrefixCache) -> None:
        self.unfinished_count = count
        self.unfinished_tokens = tokens
        self.prefixes = cache


@pytest.mark.parametrize(
    ("least", "most", "chosen"), [(0, 32, 1), (0, 33, 0), (10, 52, 1), (10, 53, 0)]
)
def test_the_longest_prefix_counts_up_to_twice_and_32_more(least, most, chosen):
    """The prompt is at replica 1, which has more to do; beyond the bound the idlest takes it."""
    here, nowhere = PrefixCache(PrefixCaching(4, 9)), PrefixCache(PrefixCaching(4, 9))
    here.add(Request(0, 0, 4, 1, (1,)))
    replicas = [Standing(least, 5, nowhere), Standing(most, 900, here)]
    found = ROUTERS["prefix_affinity"](0).choose(Request(1, 0, 4, 1, (1,)), replicas)
    assert found is replicas[chosen]
