"""Routers: which replica a request goes to, decided when it arrives.

Stateless routers look at nothing but the request and its number, so the replicas behind them do
not know of each other and can be replayed apart. The others look at what is unfinished where.
Equals are broken by the lowest replica number.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from rack_sim.engine.policies.replica import Replica
from rack_sim.foundation.errors import InputError
from rack_sim.foundation.streams import stream
from rack_sim.workload.request import Request

Place = TypeVar("Place")
"""A replica, or its number: what does not look at replicas can choose among either."""

_DRAWS_AT_ONCE = 4096
_BLOCKS_KEPT = 8


class Router(Protocol):
    """Chooses among replicas."""

    def choose(self, request: Request, replicas: Sequence[Replica]) -> Replica:
        """The replica that serves `request`, which arrives now."""
        ...


class RoundRobin:
    """One after the other, by request number."""

    def __init__(self, seed: int) -> None:
        del seed  # nothing is drawn

    def choose(self, request: Request, replicas: Sequence[Place]) -> Place:
        """The next in turn."""
        return replicas[request.request_id % len(replicas)]


class Random:
    """Each with equal chance, drawn by request number on a stream of its own.

    Numbers need not come in order: users that are turned away ask again before others have begun.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._blocks: dict[int, list[int]] = {}

    def choose(self, request: Request, replicas: Sequence[Place]) -> Place:
        """The drawn one."""
        block, place = divmod(request.request_id, _DRAWS_AT_ONCE)
        drawn = self._blocks.get(block)
        if drawn is None:
            rng = stream(self._seed, f"router/random/{block}")
            drawn = rng.integers(0, 2**62, _DRAWS_AT_ONCE).tolist()
            if len(self._blocks) == _BLOCKS_KEPT:
                del self._blocks[next(iter(self._blocks))]
            self._blocks[block] = drawn
        return replicas[drawn[place] % len(replicas)]


class SessionAffinity:
    """All requests of a session to one replica, chosen by a hash of the session."""

    def __init__(self, seed: int) -> None:
        self._salt = _mixed(seed)

    def choose(self, request: Request, replicas: Sequence[Place]) -> Place:
        """The session's replica. Raises InputError where the session is not known."""
        if request.session < 0:
            raise InputError(
                f"session_affinity needs the session of every request; request "
                f"{request.request_id} has none (a trace with sessions, a closed loop, or "
                "another serving.router)"
            )
        return replicas[_mixed(request.session ^ self._salt) % len(replicas)]


class LeastOutstandingTokens:
    """The replica whose unfinished requests have the fewest prompt and output tokens in all.

    A request counts in full until it ends: the router hears of ends, not of every token.
    """

    def __init__(self, seed: int) -> None:
        del seed  # nothing is drawn

    def choose(self, request: Request, replicas: Sequence[Replica]) -> Replica:
        """The least loaded."""
        return min(replicas, key=lambda replica: replica.unfinished_tokens)


class JoinShortestQueue:
    """The replica with the fewest unfinished requests, waiting or running."""

    def __init__(self, seed: int) -> None:
        del seed  # nothing is drawn

    def choose(self, request: Request, replicas: Sequence[Replica]) -> Replica:
        """The shortest queue."""
        return min(replicas, key=lambda replica: replica.unfinished_count)


class PrefixAffinity:
    """The replica whose prefix cache holds most of the prompt; of equals the least loaded one."""

    def __init__(self, seed: int) -> None:
        del seed  # nothing is drawn

    def choose(self, request: Request, replicas: Sequence[Replica]) -> Replica:
        """The longest hit, then the fewest outstanding tokens."""
        return min(
            replicas,
            key=lambda replica: (
                -replica.prefixes.hit_blocks(request) if replica.prefixes else 0,
                replica.unfinished_tokens,
            ),
        )


# Those that look at nothing but the request: what is behind them can be replayed apart.
STATELESS: dict[str, type[RoundRobin] | type[Random] | type[SessionAffinity]] = {
    "round_robin": RoundRobin,
    "random": Random,
    "session_affinity": SessionAffinity,
}

# kind in a scenario -> what it is; the scenario layer and `rack-sim list routers` read this.
ROUTERS: dict[
    str,
    type[RoundRobin]
    | type[Random]
    | type[SessionAffinity]
    | type[LeastOutstandingTokens]
    | type[JoinShortestQueue]
    | type[PrefixAffinity],
] = {
    **STATELESS,
    "least_outstanding_tokens": LeastOutstandingTokens,
    "join_shortest_queue": JoinShortestQueue,
    "prefix_affinity": PrefixAffinity,
}


def _mixed(number: int) -> int:
    """A 64-bit hash of an integer: the finaliser of SplitMix64 (Steele, Lea, Flood, 2014)."""
    mask = 2**64 - 1
    number = (number + 0x9E3779B97F4A7C15) & mask
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & mask
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & mask
    return number ^ (number >> 31)
