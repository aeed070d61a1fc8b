"""Speculation: how many of a draft's proposals a sequence accepts, step by step.

In a step the draft proposes `draft_tokens` tokens; the model looks at all of them at once and keeps
the longest prefix it would have made itself, and one token of its own. Position i of the proposal
is kept with the chance ``rates[i]``, given that those before it were kept (Leviathan, Kalman,
Matias, 2023: one rate for all positions).

The draws of a request depend on the seed and its number alone, not on what else runs: so how many
steps a request takes is known when its first token is there.
"""

from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from rack_sim.workload.request import Request


@dataclass(frozen=True)
class Speculation:
    """A draft of `draft_tokens` tokens a step; `rates` holds the chance of each position."""

    rates: tuple[float, ...]
    seed: int = 0
    _kept: NDArray[np.float64] = field(init=False, repr=False, compare=False)
    _key: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # The chance that at least 1, 2, … positions are kept, falling.
        object.__setattr__(self, "_kept", np.cumprod(np.asarray(self.rates, dtype=np.float64)))
        digest = sha256(f"{self.seed}/speculation".encode()).digest()
        object.__setattr__(self, "_key", int.from_bytes(digest[:16], "little"))

    @property
    def draft_tokens(self) -> int:
        """Tokens proposed in a step."""
        return len(self.rates)

    def emitted(self, request: Request) -> NDArray[np.int64]:
        """Output tokens of each step after the first token, the last step cut to what is wanted.

        They add up to ``output_tokens - 1``; a step emits what was kept and one more.
        """
        wanted = request.output_tokens - 1
        bits = np.random.Philox(key=self._key, counter=request.request_id << 64)
        draws = np.random.Generator(bits).random(wanted)
        kept = len(self.rates) - np.searchsorted(self._kept[::-1], draws, side="right")
        totals = np.cumsum(kept + 1)
        steps = int(np.searchsorted(totals, wanted))
        emitted = (kept + 1)[: steps + 1]
        if wanted:
            emitted[-1] -= totals[steps] - wanted
        return emitted
