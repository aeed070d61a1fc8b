"""Batch policy: what continuous batching may do, and what one of its runs is."""

from dataclasses import dataclass
from typing import NamedTuple

from rack_sim.engine.observer import Sequence
from rack_sim.engine.runs import Stretch


@dataclass(frozen=True, slots=True)
class ContinuousBatchingPolicy:
    """Iteration-level batching as today's engines do it.

    At most `token_budget` rows an iteration and `max_sequences` sequences at a time; a prompt gets
    at most `chunk_tokens` rows an iteration (None: all that are left). `watermark_share` of the
    blocks stays free when a request is let in, so that it is not thrown out at once.
    """

    token_budget: int = 2048
    chunk_tokens: int | None = None
    max_sequences: int = 256
    block_tokens: int = 16
    watermark_share: float = 0.01


class Chunk(NamedTuple):
    """Rows of one prompt in an iteration."""

    sequence: Sequence
    rows: int


class Run(NamedTuple):
    """Equal iterations in a row: when they began, how long they take, who is in them."""

    start_ps: int
    iterations: int
    stretches: list[Stretch]
    decoding: int
    chunks: list[Chunk]
    rows: int
    sampled: int
    base_ps: int
