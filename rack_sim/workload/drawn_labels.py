"""Drawn labels: the session, the priority and the block hashes of drawn requests.

Each is drawn only where it is asked for, on a stream of its own, so that it changes nothing else.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

import numpy as np

from rack_sim.foundation.streams import stream
from rack_sim.foundation.units import counted
from rack_sim.workload.arguments import ArgumentCheck
from rack_sim.workload.request import MAX_TOKENS

_DRAWS_AT_ONCE = 4096
_MANY = 10**9

Labelling = Callable[[int, int], tuple[tuple[int, ...], int, int]]
"""From a request's number and its prompt's length to its block hashes, session and priority."""


@dataclass(frozen=True, slots=True)
class SharedPrefix:
    """Prompts that begin alike: a `share` of them with one of `variants` prefixes of `tokens`.

    All prompts get names for their blocks of `block_tokens`. Whole blocks inside the prefix have
    names in common with the other prompts of the variant; all others have names of their own. A
    prompt no longer than the prefix is the prefix, cut. Variants are drawn uniformly.

    Raises `InputError` where a number is out of range, or the prefix is shorter than a block:
    nothing could be shared.
    """

    tokens: int
    variants: int = 1
    share: float = 1.0
    block_tokens: int = 512

    def __post_init__(self) -> None:
        check = ArgumentCheck("SharedPrefix")
        usable = check.whole("tokens", self.tokens, 1, MAX_TOKENS)
        check.whole("variants", self.variants, 1, _MANY)
        check.number("share", self.share, 0, 1)
        usable &= check.whole("block_tokens", self.block_tokens, 1, MAX_TOKENS)
        if usable:
            check.that(
                self.tokens >= self.block_tokens,
                "tokens",
                f"must be at least block_tokens ({self.block_tokens}), else no block is shared; "
                f"it is {self.tokens}",
            )
        check.finish()

    @property
    def description(self) -> str:
        """A few words for a report."""
        which = "a prefix" if self.variants == 1 else f"one of {self.variants:,} prefixes"
        length = counted(self.tokens, "token")
        return f"{100 * self.share:g} % of prompts begin with {which} of {length}"

    def hashes_of(self, seed: int) -> Callable[[int, int], tuple[int, ...]]:
        """A function from a request's number and length to the names of its blocks.

        It must be called for one request after another.
        """
        begins = _uniform(stream(seed, "workload/shared_prefix"))
        variants = _whole(stream(seed, "workload/shared_prefix/variant"), self.variants)
        size, share, prefix_tokens = self.block_tokens, self.share, self.tokens
        blocks_of_prefix = -(-prefix_tokens // size)
        # A shared block is named by its variant, its place and how much of it is filled.
        shared_names = self.variants * blocks_of_prefix * size

        def hashes(number: int, input_tokens: int) -> tuple[int, ...]:
            count = -(-input_tokens // size)
            own = shared_names + (number << 30)  # a prompt has fewer than 2**30 blocks
            shared: list[int] = []
            if next(begins) < share:
                first = next(variants) * blocks_of_prefix
                alike = min(prefix_tokens, input_tokens)
                whole, filled = divmod(alike, size)
                shared = [(first + place) * size for place in range(whole)]
                if filled and alike == input_tokens:
                    shared.append((first + whole) * size + filled)
            return (*shared, *range(own + len(shared), own + count))

        return hashes


def check_labels(
    check: ArgumentCheck, sessions: object, priorities: tuple[tuple[int, float], ...]
) -> None:
    """Notes what is wrong with `sessions` and `priorities` of a drawn workload."""
    if sessions is not None:
        check.whole("sessions", sessions, 1, _MANY)
    usable = True
    for value, share in priorities:
        usable &= check.whole("priorities", value, -_MANY, _MANY)
        usable &= check.number(f"priorities.{value}", share, 0, 1)
    if usable:
        values = [value for value, _ in priorities]
        check.that(len(set(values)) == len(values), "priorities", "names a priority twice")
        total = sum(Fraction(str(share)) for _, share in priorities)
        check.that(
            total <= 1,
            "priorities",
            f"shares add up to {float(total):g}; at most 1 (what is left has priority 0)",
        )


def labelling(
    seed: int,
    sessions: int | None,
    shared_prefix: SharedPrefix | None,
    priorities: tuple[tuple[int, float], ...],
) -> Labelling | None:
    """What gives labels to one request after another; None where nothing is asked for."""
    if sessions is None and shared_prefix is None and not priorities:
        return None
    session = _whole(stream(seed, "workload/sessions"), sessions) if sessions else None
    priority = _priorities(seed, priorities) if priorities else None
    hashes = shared_prefix.hashes_of(seed) if shared_prefix else None

    def labels(number: int, input_tokens: int) -> tuple[tuple[int, ...], int, int]:
        return (
            hashes(number, input_tokens) if hashes else (),
            next(session) if session else -1,
            next(priority) if priority else 0,
        )

    return labels


def _priorities(seed: int, shares: tuple[tuple[int, float], ...]) -> Iterator[int]:
    """Priorities; how often each comes is drawn in the order of their values, however given."""
    ordered = sorted(shares)
    values = [value for value, _ in ordered]
    ends = [float(end) for end in accumulate(Fraction(str(share)) for _, share in ordered)]
    for drawn in _uniform(stream(seed, "workload/priorities")):
        place = bisect_right(ends, drawn)
        yield values[place] if place < len(values) else 0


def _uniform(rng: np.random.Generator) -> Iterator[float]:
    while True:
        yield from rng.random(_DRAWS_AT_ONCE).tolist()


def _whole(rng: np.random.Generator, count: int) -> Iterator[int]:
    while True:
        yield from rng.integers(0, count, _DRAWS_AT_ONCE).tolist()
