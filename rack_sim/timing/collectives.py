"""Collective timing: all-gather and reduce-scatter on a group of chips.

Two algorithms are compared and the faster is taken: `direct` (every chip sends to every other in
one step) and `ring` (n - 1 steps to the neighbour). With latency a, link rate b and n chips that
each hold m bytes, on a fully connected group: direct takes a + m/b, ring (n - 1)(a + m/b).
Sizes follow the usual convention: `shard_bytes` is what each chip contributes (all-gather) or
keeps (reduce-scatter).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rack_sim.hardware.routing import Flow, Hop, Router
from rack_sim.timing.messages import time_flows

Algorithm = Literal["none", "direct", "ring"]


@dataclass(frozen=True)
class CollectiveTiming:
    """One collective: the algorithm taken, its duration in two parts, vectors on every link."""

    algorithm: Algorithm
    link_latency_ps: int
    link_serialisation_ps: int
    vectors_by_hop: Mapping[Hop, int]

    @property
    def duration_ps(self) -> int:
        """From the shards being there to the result being there, arithmetic not included."""
        return self.link_latency_ps + self.link_serialisation_ps


def time_exchange(router: Router, group: tuple[int, ...], shard_bytes: int) -> CollectiveTiming:
    """The time to move one shard from every chip of `group` to every other, the faster way.

    An all-gather and a reduce-scatter move the same bytes over the same links in opposite
    directions; the reduction's additions are timed where the reduce-scatter is used.
    """
    if len(group) < 2 or shard_bytes == 0:
        return CollectiveTiming("none", 0, 0, {})
    return min(
        (_direct(router, group, shard_bytes), _ring(router, group, shard_bytes)),
        key=lambda timing: timing.duration_ps,
    )


def _direct(router: Router, group: tuple[int, ...], shard_bytes: int) -> CollectiveTiming:
    flows = [Flow(a, b, shard_bytes) for a in group for b in group if a != b]
    step = time_flows(router, flows)
    return CollectiveTiming(
        "direct", step.link_latency_ps, step.link_serialisation_ps, step.vectors_by_hop
    )


def _ring(router: Router, group: tuple[int, ...], shard_bytes: int) -> CollectiveTiming:
    step_count = len(group) - 1
    flows = [Flow(a, b, shard_bytes) for a, b in zip(group, group[1:] + group[:1], strict=True)]
    step = time_flows(router, flows)
    return CollectiveTiming(
        "ring",
        step_count * step.link_latency_ps,
        step_count * step.link_serialisation_ps,
        {hop: step_count * count for hop, count in step.vectors_by_hop.items()},
    )
