"""Exchanges: the collectives of blocks: the fastest way of each, and a note of what was placed."""

from collections.abc import Mapping
from dataclasses import dataclass

from rack_sim.hardware.routing import Routing
from rack_sim.model.choice import GRAINS, Choice
from rack_sim.model.selection import Selection
from rack_sim.timing.algorithms import Algorithm, Operation
from rack_sim.timing.collectives import CollectiveTiming, time_collective

# A partial logit, or a partial sum of squares, in fp32.
SUM_BYTES = 4
# A candidate: a 4-byte score (or logit) and the 4-byte number of a cache entry (or token).
CANDIDATE_BYTES = 8


def logit_bytes(choice: Choice, rows: int) -> int:
    """What the logits of a router take, and each row's sum of squares with them."""
    return rows * (choice.expert_count + 1) * SUM_BYTES


def choice_bytes(selection: Selection, rows: int, context_tokens: int, chip_count: int) -> int:
    """What a chip tells the others of the best entries in its part of the cache."""
    return rows * selection.candidates(context_tokens, chip_count) * CANDIDATE_BYTES


def mix_bytes(mixed_per_row: int, rows: int) -> int:
    """Partial sums of what says how streams are mixed, and each row's sum of squares with them."""
    return rows * (mixed_per_row + 1) * SUM_BYTES


def dispatched_elements(
    choice: Choice, rows: int, *, group_size: int, residual_elements: int, execution: str
) -> int:
    """What a chip sends to each other chip of its group when rows go to their experts, or return.

    Its shard of as many rows as the fullest chip gets; a row goes to a chip once, however many of
    its experts are there. All-to-alls are even: every chip gets what the fullest does.
    """
    load = (choice.most if execution == "static" else choice.average)(rows, group_size)
    row_grains = min(load.row_grains, rows * GRAINS)
    return -(-row_grains * residual_elements // (GRAINS * group_size))


class Exchanges:
    """The fastest way of every exchange on one network, found once."""

    def __init__(self, routing: Routing) -> None:
        self.routing = routing
        self._found: dict[
            tuple[Operation, tuple[int, ...], int, Algorithm | None], CollectiveTiming
        ] = {}

    def fastest(
        self,
        operation: Operation,
        group: tuple[int, ...],
        shard_bytes: int,
        algorithm: Algorithm | None = None,
    ) -> CollectiveTiming:
        """The timing of an operation in which every chip of `group` has `shard_bytes`.

        Of a given algorithm, else of the one that ends first.
        """
        key = (operation, group, shard_bytes, algorithm)
        if key not in self._found:
            self._found[key] = time_collective(
                self.routing,
                group,
                operation=operation,
                size_bytes=shard_bytes * len(group),
                algorithm=algorithm,
            )
        return self._found[key]


@dataclass(frozen=True)
class Collective:
    """A collective of a block as it was placed: what the checker counts bytes against.

    `traffic` names its messages; every chip of `group` has, or ends with, `shard_bytes`.
    """

    traffic: str
    operation: Operation
    algorithm: str
    group: tuple[int, ...]
    shard_bytes: int
    not_taken: Mapping[str, str]
