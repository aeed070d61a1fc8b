"""Requests, and the two doors through which the engine gets them: `Workload` and `Source`."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

MAX_TOKENS = 10**9
"""More tokens than this in one request, input or output, is taken for a mistake."""


class Request(NamedTuple):
    """One request to be served.

    `request_id` counts 0, 1, 2, … in the order of issue. `arrival_ps` counts from the start of the
    workload. `block_hashes` names the blocks of the input for prefix reuse: equal hashes are equal
    content up to and including that block; empty where nothing is known about it. `session` is the
    conversation (or user) it belongs to, -1 where that is not known. Requests of a higher
    `priority` are served first where a queue looks at it.
    """

    request_id: int
    arrival_ps: int
    input_tokens: int
    output_tokens: int
    block_hashes: tuple[int, ...] = ()
    session: int = -1
    priority: int = 0


class Source(Protocol):
    """One replay of a workload. It may keep state, so each replay needs its own."""

    def arrivals(self) -> Iterator[Request]:
        """The requests whose arrival is known in advance, in non-decreasing `arrival_ps`."""
        ...

    def follow_up(self, request: Request, finish_ps: int) -> Request | None:
        """The next request of the user whose `request` left the system at `finish_ps`.

        None in an open loop, and where that user issues no more. Call it once for each request, in
        the order in which they leave, whether they were served or turned away.
        """
        ...


class Workload(Protocol):
    """A stream of requests that can be replayed any number of times, always the same."""

    @property
    def request_count(self) -> int | None:
        """How many requests a replay issues; None where that is not known before reading it.

        An upper bound where the workload also ends by time.
        """
        ...

    @property
    def description(self) -> str:
        """One line for a report: what the workload is."""
        ...

    def open(self) -> Source:
        """A fresh replay from the start."""
        ...
