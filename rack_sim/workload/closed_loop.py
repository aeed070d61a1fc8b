"""Closed-loop workload: users who each wait for an answer, think, and ask again."""

from collections.abc import Iterator
from dataclasses import dataclass

from rack_sim.foundation.errors import ReplayError
from rack_sim.foundation.streams import stream
from rack_sim.foundation.units import format_time
from rack_sim.workload.arguments import ArgumentCheck
from rack_sim.workload.lengths import LengthDistribution
from rack_sim.workload.request import Request


@dataclass(frozen=True, slots=True)
class ClosedLoopWorkload:
    """`users` users, one request each under way at any time.

    Each user asks at time 0, and again `think_time_ps` after the previous request left the
    system, until `request_count` requests were issued in all; where that is fewer than `users`,
    only so many users start.

    The session of a request is the number of its user. Every user has random streams of its own,
    so the k-th request of a user is the same whatever the order in which the requests of others
    finish.

    Raises `InputError` where a number is not whole or out of range.
    """

    users: int
    think_time_ps: int
    input_lengths: LengthDistribution
    output_lengths: LengthDistribution
    seed: int
    request_count: int

    def __post_init__(self) -> None:
        check = ArgumentCheck("ClosedLoopWorkload")
        check.whole("users", self.users, 1)
        check.whole("think_time_ps", self.think_time_ps, 0)
        check.whole("seed", self.seed, 0)
        check.whole("request_count", self.request_count, 1)
        check.finish()

    @property
    def description(self) -> str:
        """One line for a report: what the workload is."""
        return (
            f"closed loop, {self.users:,} users, think time {format_time(self.think_time_ps)}; "
            f"input {self.input_lengths.description}; output {self.output_lengths.description}; "
            f"{self.request_count:,} requests"
        )

    def open(self) -> "ClosedLoopSource":
        """A fresh replay from the start."""
        return ClosedLoopSource(self)


class ClosedLoopSource:
    """One replay of a `ClosedLoopWorkload`; it knows which user waits for which request."""

    def __init__(self, workload: ClosedLoopWorkload) -> None:
        self._workload = workload
        self._issued = 0
        self._user_of: dict[int, int] = {}
        self._inputs: list[Iterator[int]] = []
        self._outputs: list[Iterator[int]] = []

    def arrivals(self) -> Iterator[Request]:
        """The first request of every user, all at time 0.

        They are issued here and now, so that a request turned away at time 0 cannot be followed
        up before another user has started. Raises `ReplayError` when called a second time.
        """
        if self._inputs:
            raise ReplayError("a closed-loop source replays once; open the workload again")
        workload = self._workload
        seed = workload.seed
        for user in range(min(workload.users, workload.request_count)):
            inputs = stream(seed, f"workload/user-{user}/input_tokens")
            outputs = stream(seed, f"workload/user-{user}/output_tokens")
            self._inputs.append(workload.input_lengths.lengths_tokens(inputs))
            self._outputs.append(workload.output_lengths.lengths_tokens(outputs))
        return iter([self._issue(user, 0) for user in range(len(self._inputs))])

    def follow_up(self, request: Request, finish_ps: int) -> Request | None:
        """The next request of the user of `request`; None once `request_count` were issued.

        Raises `ReplayError` where no user waits for `request`, or it finished before it arrived.
        """
        user = self._user_of.pop(request.request_id, None)
        if user is None:
            raise ReplayError(f"request {request.request_id} finished, but no user waits for it")
        if finish_ps < request.arrival_ps:
            raise ReplayError(
                f"request {request.request_id} finished at {finish_ps} ps, "
                f"before it arrived at {request.arrival_ps} ps"
            )
        if self._issued == self._workload.request_count:
            return None
        return self._issue(user, finish_ps + self._workload.think_time_ps)

    def _issue(self, user: int, arrival_ps: int) -> Request:
        inputs, outputs = next(self._inputs[user]), next(self._outputs[user])
        request = Request(self._issued, arrival_ps, inputs, outputs, session=user)
        self._user_of[request.request_id] = user
        self._issued += 1
        return request
