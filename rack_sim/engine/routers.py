"""Routers: which replica a request goes to, decided when it arrives.

Stateless routers look at nothing but the request and its number, so the replicas behind them do
not know of each other and can be replayed apart. The others look at what is unfinished where.
Equals are broken by the lowest replica number. A new one is a class and a line in `ROUTERS`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, TypeVar

from rack_sim.engine.policies.replica import Replica
from rack_sim.foundation.errors import InputError
from rack_sim.foundation.streams import stream
from rack_sim.workload.request import Request

Place = TypeVar("Place")
"""A replica, or its number: what does not look at replicas can choose among either."""

_DRAWS_AT_ONCE = 4096
# assumed: of the order in which routers in use begin to balance; too few to matter is too soon
_UNEVEN = 32
_BLOCKS_KEPT = 8


class Router(ABC):
    """Chooses among replicas. `seed` is for what it draws."""

    needs_sessions: ClassVar[bool] = False
    needs_prefix_cache: ClassVar[bool] = False

    def __init__(self, seed: int) -> None:
        self.seed = seed

    @abstractmethod
    def choose(self, request: Request, replicas: Sequence[Replica]) -> Replica:
        """The replica that serves `request`, which arrives now."""


class StatelessRouter(Router):
    """Looks at nothing but the request: what is behind it can be replayed apart."""

    @abstractmethod
    def choose(self, request: Request, replicas: Sequence[Place]) -> Place:
        """The replica that serves `request`, or its number."""


class RoundRobin(StatelessRouter):
    """One after the other, by request number."""

    def choose(self, request: Request, replicas: Sequence[Place]) -> Place:
        """The next in turn."""
        return replicas[request.request_id % len(replicas)]


class Random(StatelessRouter):
    """Each with equal chance, drawn by request number on a stream of its own.

    Numbers need not come in order: users that are turned away ask again before others have begun.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._blocks: dict[int, list[int]] = {}

    def choose(self, request: Request, replicas: Sequence[Place]) -> Place:
        """The drawn one."""
        block, place = divmod(request.request_id, _DRAWS_AT_ONCE)
        drawn = self._blocks.get(block)
        if drawn is None:
            rng = stream(self.seed, f"router/random/{block}")
            drawn = rng.integers(0, 2**62, _DRAWS_AT_ONCE).tolist()
            if len(self._blocks) == _BLOCKS_KEPT:
                del self._blocks[next(iter(self._blocks))]
            self._blocks[block] = drawn
        return replicas[drawn[place] % len(replicas)]


class SessionAffinity(StatelessRouter):
    """All requests of a session to one replica, chosen by a hash of the session."""

    needs_sessions = True

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
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


class LeastOutstandingTokens(Router):
    """The replica whose unfinished requests have the fewest prompt and output tokens in all.

    A request counts in full until it ends: the router hears of ends, not of every token.
    """

    def choose(self, request: Request, replicas: Sequence[Replica]) -> Replica:
        """The least loaded."""
        return min(replicas, key=lambda replica: replica.unfinished_tokens)


class JoinShortestQueue(Router):
    """The replica with the fewest unfinished requests, waiting or running."""

    def choose(self, request: Request, replicas: Sequence[Replica]) -> Replica:
        """The shortest queue."""
        return min(replicas, key=lambda replica: replica.unfinished_count)


class PrefixAffinity(Router):
    """The replica whose prefix cache holds most of the prompt, unless it is far busier than others.

    Prompts that all begin alike would pile up on one replica: where the fullest has more than twice
    and 32 more unfinished requests than the emptiest, the least loaded one is taken. Of equals the
    one with the fewest outstanding tokens.
    """

    needs_prefix_cache = True

    def choose(self, request: Request, replicas: Sequence[Replica]) -> Replica:
        """The longest hit, then the fewest outstanding tokens."""
        counts = [replica.unfinished_count for replica in replicas]
        if max(counts) > 2 * min(counts) + _UNEVEN:
            return min(replicas, key=lambda replica: replica.unfinished_tokens)
        return min(
            replicas,
            key=lambda replica: (
                -replica.prefixes.hit_blocks(request) if replica.prefixes else 0,
                replica.unfinished_tokens,
            ),
        )


ROUTERS: dict[str, type[Router]] = {
    "round_robin": RoundRobin,
    "random": Random,
    "least_outstanding_tokens": LeastOutstandingTokens,
    "join_shortest_queue": JoinShortestQueue,
    "session_affinity": SessionAffinity,
    "prefix_affinity": PrefixAffinity,
}
"""Name in a scenario -> router."""


def stateless_router(name: str, seed: int) -> StatelessRouter | None:
    """The router of a name, where it looks at nothing but the request."""
    router = ROUTERS[name](seed)
    return router if isinstance(router, StatelessRouter) else None


def _mixed(number: int) -> int:
    """A 64-bit hash of an integer: the finaliser of SplitMix64 (Steele, Lea, Flood, 2014)."""
    mask = 2**64 - 1
    number = (number + 0x9E3779B97F4A7C15) & mask
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & mask
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & mask
    return number ^ (number >> 31)
