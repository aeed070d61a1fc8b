"""Transfers: caches on their way from the replicas that prefill to those that decode.

A transfer holds every link of its path for as long as its bytes take on the slowest of them, first
come, first served: two that share a link follow each other, those that share none do not meet.
What was serialised arrives one latency later. One that is wanted no more is called off as
long as it has not begun. Collectives on the same links are not looked at.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from simpy import Environment

from rack_sim.engine.decision import Decision, Priority
from rack_sim.engine.observer import Sequence
from rack_sim.foundation.units import work_to_ps
from rack_sim.hardware.routing import Hop


@dataclass(frozen=True, slots=True)
class TransferPath:
    """From one replica to another: the links it takes, and what they carry.

    `links` are numbers that stand for links (of any kind) and are shared with other paths;
    ``wire_bytes / payload_bytes`` is what framing adds; `bytes_per_s` is that of the whole path.
    Where they are links of a system, `hops` names them, and `hop_shares` is how much of the bytes
    each carries.
    """

    links: tuple[int, ...]
    latency_ps: int
    bytes_per_s: int
    payload_bytes: int = 1
    wire_bytes: int = 1
    hops: tuple[Hop, ...] = field(default=(), compare=False)
    hop_shares: tuple[Fraction, ...] = field(default=(), compare=False)

    def serialisation_ps(self, message_bytes: int) -> int:
        """How long the links are held."""
        wire = -(-message_bytes // self.payload_bytes) * self.wire_bytes
        return work_to_ps(wire, self.bytes_per_s)


@dataclass(eq=False, slots=True)
class _Transfer:
    """One cache that is to go, or is going, from a replica to another."""

    sequence: Sequence
    pair: tuple[int, int]
    message_bytes: int
    asked_ps: int


class Transfers:
    """The links between two pools: what they carry, and what waits for them.

    `arrived` is told when a cache is there. `carried` counts transfers and bytes by pair of
    replicas, of those that have begun.
    """

    def __init__(
        self,
        env: Environment,
        paths: Mapping[tuple[int, int], TransferPath],
        arrived: Callable[[Sequence, int], None],
    ) -> None:
        self._env = env
        self._paths = paths
        self._arrived = arrived
        self._waiting: list[_Transfer] = []
        self._taken: set[int] = set()
        self.carried: dict[tuple[int, int], list[int]] = {}
        self.last_ps = 0

    def send(self, sequence: Sequence, pair: tuple[int, int], message_bytes: int, now: int) -> None:
        """A cache is to go over the path of `pair`, as soon as its links are free."""
        self._waiting.append(_Transfer(sequence, pair, message_bytes, now))
        self._begin(now)

    def call_off(self, sequence: Sequence, now: int) -> bool:
        """A cache is wanted no more; whether that was known before it began to go."""
        waiting = [transfer for transfer in self._waiting if transfer.sequence is not sequence]
        if len(waiting) == len(self._waiting):
            return False
        self._waiting = waiting
        self._begin(now)
        return True

    def totals(self) -> dict[tuple[int, int], tuple[int, ...]]:
        """The number and the bytes of transfers that have begun, by pair of replicas."""
        return {pair: tuple(counts) for pair, counts in sorted(self.carried.items())}

    def _begin(self, now: int) -> None:
        """Begins whatever need not wait: for a link, or for one that came before and needs it."""
        claimed = set(self._taken)
        still = []
        for transfer in self._waiting:
            path = self._paths[transfer.pair]
            if claimed.isdisjoint(path.links):
                self._taken.update(path.links)
                sent_ps = now + path.serialisation_ps(transfer.message_bytes)
                there_ps = sent_ps + path.latency_ps
                transfer.sequence.transfer_ps = there_ps - transfer.asked_ps
                counts = self.carried.setdefault(transfer.pair, [0, 0])
                counts[0] += 1
                counts[1] += transfer.message_bytes
                Decision(self._env, sent_ps, Priority.COMPLETION, self._sent, transfer)
                Decision(self._env, there_ps, Priority.COMPLETION, self._there, transfer)
            else:
                still.append(transfer)
            claimed.update(path.links)
        self._waiting = still

    def _sent(self, decision: Decision) -> None:
        transfer: _Transfer = decision.subject
        self._taken.difference_update(self._paths[transfer.pair].links)
        self._begin(int(self._env.now))

    def _there(self, decision: Decision) -> None:
        transfer: _Transfer = decision.subject
        self.last_ps = int(self._env.now)
        self._arrived(transfer.sequence, self.last_ps)
