"""Traffic: what each link carries in one step, by what the messages are for."""

from collections.abc import Mapping

import numpy as np

from rack_sim.compiler.program import Program
from rack_sim.hardware.routing import Hop

# kind of traffic -> what it is, in the order in which files and figures show it
TRAFFICS: Mapping[str, str] = {
    "gather": "shards of the residual stream, to all chips of a group",
    "reduce": "partial sums of a matmul, each chip's share to that chip",
    "combine": "what chips that share a key-value head found in their parts of the cache",
    "candidates": "each chip's best next token, to all chips of the group",
    "transfer": "the residual stream, from a stage to the next",
    "token": "the sampled token, back to the first stage",
}


def vectors_by_traffic(program: Program) -> dict[Hop, dict[str, int]]:
    """Vectors of one step on every link in use, by kind of traffic in the order of `TRAFFICS`."""
    order = {name: number for number, name in enumerate(TRAFFICS)}
    width = len(order)
    # A kind that is not in the table would be missing from every sum: better a KeyError here.
    kinds = np.array([order[name] if name else -1 for name in program.traffics], dtype=np.int64)
    kind = kinds[program.traffic]
    carried = kind >= 0
    counts = np.zeros(len(program.resources) * width, dtype=np.int64)
    np.add.at(counts, program.resource[carried] * width + kind[carried], program.vectors[carried])
    table = counts.reshape(-1, width)
    found: dict[Hop, dict[str, int]] = {}
    for number in np.flatnonzero(table.any(axis=1)).tolist():
        first, second = program.resources[number]
        if not isinstance(first, str):
            by_kind = zip(TRAFFICS, table[number].tolist(), strict=True)
            found[first, second] = {name: count for name, count in by_kind if count}
    return dict(sorted(found.items()))
