"""Traffic: what each link carries in one step, by what the messages are for."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from rack_sim.compiler.program import Program
from rack_sim.hardware.routing import Hop

# kind of traffic -> what it is, in the order in which files and figures show it
TRAFFICS: Mapping[str, str] = {
    "gather": "shards of the residual stream, to all chips of a group",
    "reduce": "partial sums of a matmul, each chip's share to that chip",
    "combine": "what chips that share a key-value head found in their parts of the cache",
    "logits": "partial logits of a router, to all chips of a group",
    "dispatch": "rows, each to the chips of its experts",
    "collect": "what experts found, each chip's share to that chip",
    "candidates": "each chip's best next token, to all chips of the group",
    "transfer": "the residual stream, from a stage to the next",
    "token": "the sampled token, back to the first stage",
}

COUNTED_WITH: Mapping[str, str] = {"queries": "gather", "choices": "candidates", "mixes": "logits"}
"""Kinds that only some models have, and in which kind of the table they are counted: an indexer's
queries, the best entries of each chip's part of the cache, and partial sums that say how residual
streams are mixed, all to all chips of a group."""


class LinkLoad(NamedTuple):
    """What one kind of traffic puts on a link in one step.

    A message holds all parallel cables of a link for as long as the fullest of them takes, so
    `held_ps` is that of each cable.
    """

    vectors: int
    held_ps: int


def loads(program: Program) -> dict[Hop, Mapping[str, LinkLoad]]:
    """Loads of one step on every link in use, by kind of traffic in the order of `TRAFFICS`."""
    order = {name: number for number, name in enumerate(TRAFFICS)}
    width = len(order)
    # A kind that is not in the table would be missing from every sum: better a KeyError here.
    kinds = np.array(
        [order[COUNTED_WITH.get(name, name)] if name else -1 for name in program.traffics],
        dtype=np.int64,
    )
    kind = kinds[program.traffic]
    carried = kind >= 0
    place = program.resource[carried] * width + kind[carried]
    table = np.zeros((2, len(program.resources) * width), dtype=np.int64)
    for row, amounts in zip(table, (program.vectors, program.duration_ps), strict=True):
        np.add.at(row, place, amounts[carried])
    by_link = table.T.reshape(-1, width, 2)
    known: dict[bytes, dict[str, LinkLoad]] = {}  # many links carry the same
    found: dict[Hop, Mapping[str, LinkLoad]] = {}
    for number in np.flatnonzero(by_link.any(axis=(1, 2)) & program.is_link).tolist():
        alike = by_link[number].tobytes()
        if alike not in known:
            by_kind = zip(TRAFFICS, by_link[number].tolist(), strict=True)
            known[alike] = {name: LinkLoad(*load) for name, load in by_kind if load[0]}
        first, second = program.ends[number].tolist()
        found[first, second] = known[alike]
    return dict(sorted(found.items()))
