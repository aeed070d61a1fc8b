"""Batch run: equal iterations in a row, and the chunks of prompts in them."""

from typing import NamedTuple

from rack_sim.engine.observer import Sequence
from rack_sim.engine.runs import Stretch


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
