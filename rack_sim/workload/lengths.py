"""Length distributions: how many tokens a request brings, and how many it asks for.

Lengths are whole tokens, at least 1. Draws come in blocks that grow up to 4,096; the size of a
block does not change the numbers, so a consumer of few lengths pays for few.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, repeat
from typing import Protocol

import numpy as np

from rack_sim.foundation.units import counted
from rack_sim.workload.arguments import ArgumentCheck
from rack_sim.workload.request import MAX_TOKENS

_FIRST_BLOCK_DRAWS = 16
_LAST_BLOCK_DRAWS = 4096


class LengthDistribution(Protocol):
    """How long inputs or outputs are."""

    @property
    def description(self) -> str:
        """A few words for a report."""
        ...

    def lengths_tokens(self, rng: np.random.Generator) -> Iterator[int]:
        """Endless lengths in tokens, each at least 1."""
        ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same length every time.

    Raises `InputError` where `tokens` is not a whole number from 1 to 10**9.
    """

    tokens: int

    def __post_init__(self) -> None:
        check = ArgumentCheck("Fixed")
        check.whole("tokens", self.tokens, 1, MAX_TOKENS)
        check.finish()

    @property
    def description(self) -> str:
        """A few words for a report."""
        return counted(self.tokens, "token")

    def lengths_tokens(self, rng: np.random.Generator) -> Iterator[int]:
        """The same length for ever; draws nothing from `rng`."""
        return repeat(self.tokens)


@dataclass(frozen=True, slots=True)
class Lognormal:
    """A lognormal length, given by its mean and its median.

    mu = ln(p50) and sigma = sqrt(2 ln(mean / p50)), before rounding to whole tokens and before
    clipping: a length below `minimum_tokens` or above `maximum_tokens` becomes that bound. Clipping
    the long tail lowers the mean below `mean_tokens`; the median stays.

    Raises `InputError` where a value is out of range, `mean_tokens` is not above `p50_tokens` (a
    lognormal always has mean > median), or `p50_tokens` lies outside the bounds.
    """

    mean_tokens: float
    p50_tokens: float
    minimum_tokens: int = 1
    maximum_tokens: int | None = None

    def __post_init__(self) -> None:
        check = ArgumentCheck("Lognormal")
        numbers = check.number("mean_tokens", self.mean_tokens, 1, MAX_TOKENS)
        numbers &= check.number("p50_tokens", self.p50_tokens, 1, MAX_TOKENS)
        bounds = check.whole("minimum_tokens", self.minimum_tokens, 1, MAX_TOKENS)
        if self.maximum_tokens is not None:
            bounds &= check.whole("maximum_tokens", self.maximum_tokens, 1, MAX_TOKENS)
        if numbers:
            check.that(
                self.mean_tokens > self.p50_tokens,
                "mean_tokens",
                f"must be above p50_tokens, as in every lognormal; "
                f"it is {self.mean_tokens:g} and p50_tokens is {self.p50_tokens:g}",
            )
        if numbers and bounds:
            check.that(
                self.minimum_tokens <= self.p50_tokens <= self._ceiling_tokens,
                "p50_tokens",
                f"must lie between minimum_tokens and maximum_tokens; it is {self.p50_tokens:g}, "
                f"they are {self.minimum_tokens} and {self.maximum_tokens}",
            )
        check.finish()

    @property
    def _ceiling_tokens(self) -> int:
        return MAX_TOKENS if self.maximum_tokens is None else self.maximum_tokens

    @property
    def sigma(self) -> float:
        """Standard deviation of the logarithm of the length."""
        return math.sqrt(2.0 * math.log(self.mean_tokens / self.p50_tokens))

    @property
    def description(self) -> str:
        """A few words for a report."""
        text = f"lognormal, mean {self.mean_tokens:g}, median {self.p50_tokens:g} tokens"
        if self.minimum_tokens > 1:
            text += f", at least {self.minimum_tokens}"
        if self.maximum_tokens is not None:
            text += f", clipped to {self.maximum_tokens}"
        return text

    def lengths_tokens(self, rng: np.random.Generator) -> Iterator[int]:
        """Lognormal lengths, rounded to whole tokens, then clipped."""
        sigma = self.sigma
        for count in _block_draws():
            lengths = self.p50_tokens * np.exp(sigma * rng.standard_normal(count))
            bounded = np.clip(np.rint(lengths), self.minimum_tokens, self._ceiling_tokens)
            yield from bounded.astype(np.int64).tolist()


@dataclass(frozen=True, slots=True)
class Empirical:
    """A length given by measured quantiles, with straight lines between them.

    `quantiles` are (quantile, tokens) pairs: the quantile rises strictly from 0 (the shortest
    length) to 1 (the longest), tokens never fall. Raises `InputError` where they do not.
    """

    quantiles: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        check = ArgumentCheck("Empirical")
        pairs = tuple(self.quantiles) if isinstance(self.quantiles, tuple | list) else ()
        check.that(
            len(pairs) >= 2 and all(isinstance(p, tuple | list) and len(p) == 2 for p in pairs),
            "quantiles",
            f"must be at least two pairs (quantile, tokens); it is {self.quantiles!r}",
        )
        check.finish()
        usable = True
        for index, (quantile, tokens) in enumerate(pairs):
            usable &= check.number(f"quantiles[{index}].quantile", quantile, 0, 1)
            usable &= check.number(f"quantiles[{index}].tokens", tokens, 1, MAX_TOKENS)
        if usable:
            self._check_order(check, pairs)
        check.finish()
        object.__setattr__(self, "quantiles", tuple((q, t) for q, t in pairs))

    @staticmethod
    def _check_order(check: ArgumentCheck, pairs: tuple[tuple[float, float], ...]) -> None:
        first, last = pairs[0][0], pairs[-1][0]
        check.that(first == 0, "quantiles[0].quantile", f"must be 0; it is {first}")
        check.that(last == 1, f"quantiles[{len(pairs) - 1}].quantile", f"must be 1; it is {last}")
        for index, (below, above) in enumerate(pairwise(pairs), start=1):
            check.that(
                below[0] < above[0],
                f"quantiles[{index}].quantile",
                f"must be above the one before it; it is {above[0]} after {below[0]}",
            )
            check.that(
                below[1] <= above[1],
                f"quantiles[{index}].tokens",
                f"must not be below the one before it; it is {above[1]} after {below[1]}",
            )

    @property
    def description(self) -> str:
        """A few words for a report."""
        shortest, longest = self.quantiles[0][1], self.quantiles[-1][1]
        return f"{len(self.quantiles)} quantiles, {shortest:g} to {longest:g} tokens"

    def lengths_tokens(self, rng: np.random.Generator) -> Iterator[int]:
        """Lengths by the inverse of the distribution function, rounded to whole tokens."""
        quantiles = [quantile for quantile, _ in self.quantiles]
        tokens = [length for _, length in self.quantiles]
        for count in _block_draws():
            drawn = np.interp(rng.random(count), quantiles, tokens)
            yield from np.rint(drawn).astype(np.int64).tolist()


def _block_draws() -> Iterator[int]:
    """Sizes of the blocks to draw: 16, 32, 64, … 4096, 4096, …"""
    count = _FIRST_BLOCK_DRAWS
    while True:
        yield count
        count = min(2 * count, _LAST_BLOCK_DRAWS)
