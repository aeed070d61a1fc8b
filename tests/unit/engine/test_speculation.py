"""Speculation: what is emitted adds up, and as much is kept as the chances say."""

from math import sqrt
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.engine.policies.batch_server import BatchServer
from rack_sim.engine.policies.run_books import Rates
from rack_sim.engine.speculation import Speculation
from rack_sim.workload.request import Request

RATES = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def emitted(speculation, number, tokens):
    return speculation.emitted(Request(number, 0, 1, tokens)).tolist()


@given(RATES, st.integers(0, 10**6), st.integers(1, 300), st.integers(0, 2**63))
def test_what_is_emitted_adds_up(rates, number, tokens, seed):
    """A step emits one token at least, and the draft and one more at most."""
    steps = emitted(Speculation(tuple(rates), seed), number, tokens)
    assert sum(steps) == tokens - 1
    assert all(1 <= step <= len(rates) + 1 for step in steps)


@given(st.integers(1, 8), st.integers(1, 100))
def test_never_and_always(draft, tokens):
    """With a rate of 0 every step is one token; with 1 it is the draft and one more."""
    assert emitted(Speculation((0.0,) * draft), 3, tokens) == [1] * (tokens - 1)
    whole, rest = divmod(tokens - 1, draft + 1)
    assert emitted(Speculation((1.0,) * draft), 3, tokens) == [draft + 1] * whole + [rest] * (
        rest > 0
    )


def test_nothing_behind_a_position_that_never_holds():
    assert max(emitted(Speculation((1.0, 0.0, 1.0)), 0, 100)) == 2


@pytest.mark.parametrize("rates", [(0.8,), (0.7,) * 4, (0.9, 0.5, 0.2), (0.3, 0.99, 0.99)])
def test_as_many_are_kept_as_the_chances_say(rates):
    """The mean number kept is the sum of the cumulative products of the rates.

    Steps far from the end, where nothing is cut, are independent. Five standard deviations of
    their mean are exceeded with a chance below 1e-6 (and the seed does not change).
    """
    count = 50_000
    speculation = Speculation(rates, seed=11)
    steps = emitted(speculation, 0, count * (len(rates) + 1) + 1)[:count]
    kept = np.array(steps) - 1
    at_least = np.cumprod(rates)
    mean = at_least.sum()
    # E[k^2] is the sum over i of (2 i - 1) P(k >= i).
    variance = (at_least * (2 * np.arange(1, len(rates) + 1) - 1)).sum() - mean**2
    assert abs(kept.mean() - mean) < 5 * sqrt(variance / count)
    for position, chance in enumerate(at_least, start=1):
        share = (kept >= position).mean()
        assert abs(share - chance) <= 5 * sqrt(chance * (1 - chance) / count)


def test_requests_do_not_know_of_each_other():
    """The same whatever was asked before, a longer answer going on where a shorter ends."""
    one, other = Speculation((0.6,) * 3, 5), Speculation((0.6,) * 3, 5)
    alone = emitted(one, 42, 200)
    for number in range(40):
        emitted(other, number, 50)
    assert emitted(other, 42, 200) == alone
    longer = emitted(one, 42, 400)
    assert longer[: len(alone) - 1] == alone[:-1]
    assert emitted(one, 43, 200) != alone
    assert emitted(Speculation((0.6,) * 3, 6), 42, 200) != alone


@pytest.mark.parametrize("width", [1, 2, 5])
def test_the_rows_of_a_draft_read_each_other(width):
    """Row k of a sequence sees its context and the k rows before it, counted one by one."""
    contexts = (7, 30)
    server = SimpleNamespace(
        decoding=len(contexts),
        width=width,
        context_tokens=lambda: sum(contexts),
        # Roofs that count pairs, and tokens read.
        coefficients=[Rates(((1, 0),), 0), Rates(((0, 1),), 0)],
        windows=(),
    )
    pairs, read = (first for first, _ in BatchServer._roofs(server, [], rows=0))
    assert pairs == sum(context + row for context in contexts for row in range(width))
    # What the last row sees has been read for all of them.
    assert read == sum(context + width - 1 for context in contexts)
